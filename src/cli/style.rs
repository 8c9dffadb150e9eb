//! Colour, marks and width of one output stream. Colour is decoration: nothing is told by it alone.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Effects, Style as Ansi};
use clap::ValueEnum;

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On terminals, unless `NO_COLOR` or `TERM=dumb` say otherwise.
    #[default]
    Auto,
    /// Even into files and pipes.
    Always,
    /// Never.
    Never,
}

/// What a piece of text is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// No colour.
    Plain,
    /// Headings.
    Bold,
    /// Ended by a person, not run, of little interest.
    Dim,
    /// Runs.
    Green,
    /// Done.
    BrightGreen,
    /// Waits.
    Yellow,
    /// Failed.
    Red,
    /// Paused.
    Magenta,
    /// Ready, rate limits.
    Blue,
}

/// How one stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Use colour.
    pub(crate) color: bool,
    /// Marks beyond ASCII may be used.
    pub(crate) unicode: bool,
    /// Columns of the terminal; `None` when it is not one: nothing is cut.
    pub(crate) width: Option<usize>,
}

impl Style {
    /// No colour, no marks, no width: files, pipes and tests.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { color: false, unicode: true, width: None };

    /// The style of standard output.
    pub(crate) fn stdout(choice: ColorChoice, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let width = terminal_size::terminal_size_of(std::io::stdout());
        Self::decide(terminal, width.map(|(columns, _)| usize::from(columns.0)), choice, env)
    }

    /// The style of standard error.
    pub(crate) fn stderr(choice: ColorChoice, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let width = terminal_size::terminal_size_of(std::io::stderr());
        Self::decide(terminal, width.map(|(columns, _)| usize::from(columns.0)), choice, env)
    }

    fn decide(
        terminal: bool,
        columns: Option<usize>,
        choice: ColorChoice,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if set("NO_COLOR") => false,
            ColorChoice::Auto if env("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0") => true,
            ColorChoice::Auto => terminal && env("TERM").is_none_or(|term| term != "dumb"),
        };
        let width = if terminal { columns } else { None };
        Self { color, unicode: is_utf8_locale(env), width }
    }

    /// Text in a tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.color || tone == Tone::Plain {
            return text.to_owned();
        }
        let ansi = ansi(tone);
        format!("{ansi}{text}{ansi:#}")
    }

    /// `✓`, or `[ok]`.
    pub(crate) fn ok(self) -> &'static str {
        if self.unicode { "✓" } else { "[ok]" }
    }

    /// `✗`, or `[x]`.
    pub(crate) fn bad(self) -> &'static str {
        if self.unicode { "✗" } else { "[x]" }
    }

    /// `·`, or `.`.
    pub(crate) fn dot(self) -> &'static str {
        if self.unicode { "·" } else { "." }
    }

    /// `♪`, or `*`: a sheet that plays.
    pub(crate) fn note(self) -> &'static str {
        if self.unicode { "♪" } else { "*" }
    }

    /// `—`, or `-`.
    pub(crate) fn dash(self) -> &'static str {
        if self.unicode { "—" } else { "-" }
    }

    /// A bar of `cells` characters with `percent` of them filled.
    pub(crate) fn bar(self, percent: f64, cells: usize) -> String {
        let (full, empty) = if self.unicode { ('█', '─') } else { ('#', '-') };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a percentage of a few cells"
        )]
        let filled = ((percent / 100.0 * cells as f64).round() as usize).min(cells);
        let mut text = String::new();
        text.extend(std::iter::repeat_n(full, filled));
        text.extend(std::iter::repeat_n(empty, cells - filled));
        text
    }
}

fn ansi(tone: Tone) -> Ansi {
    let color = |color: AnsiColor| Ansi::new().fg_color(Some(color.into()));
    match tone {
        Tone::Plain => Ansi::new(),
        Tone::Bold => Ansi::new().effects(Effects::BOLD),
        Tone::Dim => Ansi::new().effects(Effects::DIMMED),
        Tone::Green => color(AnsiColor::Green),
        Tone::BrightGreen => color(AnsiColor::BrightGreen),
        Tone::Yellow => color(AnsiColor::Yellow),
        Tone::Red => color(AnsiColor::Red),
        Tone::Magenta => color(AnsiColor::Magenta),
        Tone::Blue => color(AnsiColor::Blue),
    }
}

fn is_utf8_locale(env: &dyn Fn(&str) -> Option<String>) -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env(name).filter(|value| !value.is_empty()));
    locale.is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(terminal: bool, choice: ColorChoice, vars: &[(&str, &str)]) -> Style {
        let vars: Vec<(String, String)> =
            vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let env = move |name: &str| vars.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Style::decide(terminal, Some(80), choice, &env)
    }

    #[test]
    fn colour_follows_the_terminal_and_the_option_wins() {
        assert!(decide(true, ColorChoice::Auto, &[("TERM", "xterm")]).color);
        assert!(!decide(false, ColorChoice::Auto, &[]).color);
        assert!(!decide(true, ColorChoice::Auto, &[("NO_COLOR", "1")]).color);
        assert!(decide(true, ColorChoice::Auto, &[("NO_COLOR", "")]).color);
        assert!(!decide(true, ColorChoice::Auto, &[("TERM", "dumb")]).color);
        assert!(decide(false, ColorChoice::Always, &[("NO_COLOR", "1")]).color);
        assert!(decide(false, ColorChoice::Auto, &[("CLICOLOR_FORCE", "1")]).color);
    }

    #[test]
    fn marks_need_a_utf8_locale_and_only_a_terminal_has_a_width() {
        assert!(decide(false, ColorChoice::Auto, &[("LANG", "de_DE.UTF-8")]).unicode);
        assert!(!decide(false, ColorChoice::Auto, &[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]).unicode);
        assert_eq!(decide(false, ColorChoice::Auto, &[]).width, None);
        assert_eq!(decide(true, ColorChoice::Auto, &[]).width, Some(80));
    }

    #[test]
    fn a_bar_is_never_longer_than_its_cells() {
        assert_eq!(Style::PLAIN.bar(40.0, 10), "████──────");
        assert_eq!(Style::PLAIN.bar(140.0, 4), "████");
    }
}
