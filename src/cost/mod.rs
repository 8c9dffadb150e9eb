//! What an attempt used and what that costs, in whole micro-dollars.
//!
//! Pure: tokens and prices are handed in. Not here: where a program reports its tokens (`instrument`), adding up
//! attempts and comparing with limits (`exec`).
//!
//! A cost that is not known is `None` and never a guess: nobody's budget is judged by an invented price.

#[cfg(test)]
mod tests;

/// Confidence of tokens that the program reported one by one.
pub const EXACT: f64 = 1.0;
/// Confidence when one of the two numbers had to be derived from the other or from their sum.
pub const TOTAL_ONLY: f64 = 0.85;
/// Confidence of tokens that were estimated from the length of texts.
pub const ESTIMATED: f64 = 0.7;

/// Characters that make a token in an estimate.
const CHARS_PER_TOKEN: u64 = 4;
/// A larger number of dollars is an error of whoever reports it.
const MOST_DOLLARS: f64 = 1e9;
const MILLION: u128 = 1_000_000;

/// What a program says that it has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reported {
    /// Tokens read.
    pub input: Option<u64>,
    /// Tokens written.
    pub output: Option<u64>,
    /// Both together.
    pub total: Option<u64>,
    /// Micro-dollars, by the program's own account.
    pub cost_micro: Option<u64>,
}

/// What an attempt has used, and how well that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tokens {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// [`EXACT`], [`TOTAL_ONLY`] or [`ESTIMATED`].
    pub confidence: f64,
}

impl Reported {
    /// The tokens of a program that was given a prompt of about so many tokens and printed so many characters.
    #[must_use]
    pub fn tokens(&self, prompt_tokens: u64, printed_chars: u64) -> Tokens {
        match (self.input, self.output, self.total) {
            (Some(input), Some(output), _) => Tokens { input, output, confidence: EXACT },
            (Some(input), None, Some(total)) => {
                Tokens { input, output: total.saturating_sub(input), confidence: EXACT }
            }
            (None, Some(output), Some(total)) => {
                Tokens { input: total.saturating_sub(output), output, confidence: EXACT }
            }
            // Agents read more than they write: two parts of three.
            (None, None, Some(total)) => {
                Tokens { input: total - total / 3, output: total / 3, confidence: TOTAL_ONLY }
            }
            (Some(input), None, None) => {
                Tokens { input, output: estimate(printed_chars), confidence: TOTAL_ONLY }
            }
            (None, Some(output), None) => Tokens { input: prompt_tokens, output, confidence: TOTAL_ONLY },
            (None, None, None) => {
                Tokens { input: prompt_tokens, output: estimate(printed_chars), confidence: ESTIMATED }
            }
        }
    }

    /// Tokens that were reported so far, nothing estimated.
    #[must_use]
    pub fn so_far(&self) -> u64 {
        let parts = self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0));
        parts.max(self.total.unwrap_or(0))
    }

    /// Micro-dollars of what was reported so far; `None` without a price.
    #[must_use]
    pub fn cost_so_far(&self, price: Option<Price>) -> Option<u64> {
        self.cost_micro.or_else(|| {
            let known = self.input.is_some() || self.output.is_some();
            let (input, output) = match self.total {
                Some(total) if !known => (total - total / 3, total / 3),
                _ => (self.input.unwrap_or(0), self.output.unwrap_or(0)),
            };
            price.map(|price| price.of(input, output))
        })
    }
}

/// Tokens of a text with so many characters, at least one.
#[must_use]
pub const fn estimate(chars: u64) -> u64 {
    let tokens = chars / CHARS_PER_TOKEN;
    if tokens == 0 { 1 } else { tokens }
}

/// Price of a model, in micro-dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    input: u64,
    output: u64,
}

impl Price {
    /// From dollars per thousand tokens, as profiles and scores write them. Negative and endless prices are none.
    #[must_use]
    pub fn per_thousand(input: f64, output: f64) -> Option<Self> {
        Some(Self { input: micro(input * 1000.0)?, output: micro(output * 1000.0)? })
    }

    /// Micro-dollars of so many tokens, rounded to the nearest.
    #[must_use]
    pub fn of(self, input: u64, output: u64) -> u64 {
        let sum = u128::from(input) * u128::from(self.input) + u128::from(output) * u128::from(self.output);
        u64::try_from((sum + MILLION / 2) / MILLION).unwrap_or(u64::MAX)
    }
}

/// Micro-dollars of an amount in dollars; `None` when it is negative, endless or absurd.
#[must_use]
pub fn micro(dollars: f64) -> Option<u64> {
    if !(0.0..=MOST_DOLLARS).contains(&dollars) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10^15")]
    let whole = (dollars * 1e6).round() as u64;
    Some(whole)
}

/// Dollars for people, four digits after the point: `$0.0123`.
#[must_use]
pub fn shown(micro: u64) -> String {
    let rounded = micro.saturating_add(50) / 100;
    format!("${}.{:04}", rounded / 10_000, rounded % 10_000)
}
