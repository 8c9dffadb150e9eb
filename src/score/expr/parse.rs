//! Text to a condition: a small recursive descent with a depth limit.

use super::{FUNCTIONS, Function, MAX_DEPTH, MAX_LENGTH, Op, Sign, Term, Trailer};
use crate::score::value::Value;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Number(Value),
    Text(String),
    Sign(&'static str),
}

struct Reader {
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
    depth: usize,
}

pub(super) fn parse(text: &str) -> Result<Term, String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("longer than {MAX_LENGTH} bytes"));
    }
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens, next: 0, end: text.chars().count() + 1, depth: 0 };
    let term = reader.or()?;
    if reader.next < reader.tokens.len() {
        return Err(reader.expected("the end"));
    }
    Ok(term)
}

/// Longer signs first.
const SIGNS: [&str; 18] =
    ["==", "!=", ">=", "<=", "//", ">", "<", "(", ")", "[", "]", ",", ".", "-", "+", "*", "/", "%"];

/// What people write who think of another language.
fn instead(c: char) -> &'static str {
    match c {
        '=' => "; equality is `==`",
        '&' => "; write `and`",
        '|' => "; write `or`",
        '!' => "; write `not`",
        '{' | '}' => "; names stand without braces here",
        '$' => "; environment variables are not known here",
        _ => "",
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    let run = |from: usize, inner: fn(char) -> bool| {
        chars[from..].iter().take_while(|c| inner(**c)).collect::<String>()
    };
    while let Some(&c) = chars.get(at) {
        let start = at + 1;
        if c.is_whitespace() {
            at += 1;
        } else if c.is_alphabetic() || c == '_' {
            let word = run(at, |c| c.is_alphanumeric() || c == '_');
            at += word.chars().count();
            tokens.push((start, Token::Word(word)));
        } else if c.is_ascii_digit() {
            let digits = run(at, |c| c.is_ascii_digit() || c == '.');
            at += digits.len();
            let value = match (digits.parse::<i64>(), digits.parse::<f64>()) {
                (Ok(number), _) => Value::Int(number),
                (Err(_), Ok(number)) => Value::Float(number),
                _ => return Err(format!("`{digits}` is not a number at character {start}")),
            };
            tokens.push((start, Token::Number(value)));
        } else if c == '\'' || c == '"' {
            let (text, length) = quoted(&chars[at + 1..], c)
                .ok_or_else(|| format!("text without an end at character {start}"))?;
            tokens.push((start, Token::Text(text)));
            at += length + 1;
        } else {
            let sign = SIGNS.iter().find(|sign| {
                let mut rest = chars[at..].iter();
                sign.chars().all(|c| rest.next() == Some(&c))
            });
            let Some(sign) = sign else {
                return Err(format!("unexpected `{c}` at character {start}{}", instead(c)));
            };
            at += sign.len();
            tokens.push((start, Token::Sign(sign)));
        }
    }
    Ok(tokens)
}

/// A text up to its closing quote, and how many characters that takes. A backslash stands before a quote or itself.
fn quoted(chars: &[char], quote: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut at = 0;
    loop {
        let c = *chars.get(at)?;
        at += 1;
        match (c, chars.get(at)) {
            (c, _) if c == quote => return Some((text, at)),
            ('\\', Some(next @ ('\\' | '\'' | '"'))) => {
                text.push(*next);
                at += 1;
            }
            (c, _) => text.push(c),
        }
    }
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn expected(&self, what: &str) -> String {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Word(text))
                if ["AND", "And", "OR", "Or", "NOT", "Not", "IN"].contains(&text.as_str()) =>
            {
                format!("`{text}`; write `{}`", text.to_lowercase())
            }
            Some(Token::Word(text) | Token::Text(text)) => format!("`{text}`"),
            Some(Token::Number(Value::Int(number))) => format!("`{number}`"),
            Some(Token::Number(_)) => "a number".to_owned(),
            Some(Token::Sign(sign)) => format!("`{sign}`"),
        };
        format!("expected {what} at character {}, found {found}", self.position())
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(text)) if text == word);
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(text)) if *text == sign);
        self.next += usize::from(found);
        found
    }

    fn need(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        if self.depth >= MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep at character {}", self.position()));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Result<Term, String> {
        let first = self.and()?;
        let mut terms = vec![first];
        while self.word("or") {
            terms.push(self.and()?);
        }
        Ok(if terms.len() == 1 { terms.swap_remove(0) } else { Term::Or(terms) })
    }

    fn and(&mut self) -> Result<Term, String> {
        let first = self.not()?;
        let mut terms = vec![first];
        while self.word("and") {
            terms.push(self.not()?);
        }
        Ok(if terms.len() == 1 { terms.swap_remove(0) } else { Term::And(terms) })
    }

    fn not(&mut self) -> Result<Term, String> {
        if self.word("not") {
            return self.deeper(|reader| reader.not().map(|term| Term::Not(Box::new(term))));
        }
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(op) = self.operator()? {
            rest.push((op, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { Term::Compare(Box::new(first), rest) })
    }

    fn sum(&mut self) -> Result<Term, String> {
        self.run(&[("+", Sign::Plus), ("-", Sign::Minus)], Self::product)
    }

    fn product(&mut self) -> Result<Term, String> {
        let signs = [("*", Sign::Times), ("//", Sign::Floor), ("/", Sign::Over), ("%", Sign::Rest)];
        self.run(&signs, Self::unary)
    }

    /// Terms with signs between them.
    fn run(
        &mut self,
        signs: &[(&str, Sign)],
        term: fn(&mut Self) -> Result<Term, String>,
    ) -> Result<Term, String> {
        let first = term(self)?;
        let mut rest = Vec::new();
        while let Some((_, sign)) = signs.iter().find(|(text, _)| self.sign(text)) {
            rest.push((*sign, term(self)?));
        }
        Ok(if rest.is_empty() { first } else { Term::Sum(Box::new(first), rest) })
    }

    fn unary(&mut self) -> Result<Term, String> {
        if self.sign("-") {
            return self.deeper(|reader| reader.unary().map(|term| Term::Minus(Box::new(term))));
        }
        if self.sign("+") {
            return self.deeper(Self::unary);
        }
        self.atom()
    }

    fn operator(&mut self) -> Result<Option<Op>, String> {
        let signs = [
            ("==", Op::Equal),
            ("!=", Op::NotEqual),
            (">=", Op::GreaterEqual),
            ("<=", Op::LessEqual),
            (">", Op::Greater),
            ("<", Op::Less),
        ];
        for (sign, op) in signs {
            if self.sign(sign) {
                return Ok(Some(op));
            }
        }
        if self.word("in") {
            return Ok(Some(Op::In));
        }
        if self.word("is") {
            return Ok(Some(if self.word("not") { Op::IsNot } else { Op::Is }));
        }
        if self.word("not") {
            return if self.word("in") { Ok(Some(Op::NotIn)) } else { Err(self.expected("`in`")) };
        }
        Ok(None)
    }

    fn atom(&mut self) -> Result<Term, String> {
        let position = self.position();
        let Some(token) = self.peek().cloned() else { return Err(self.expected("a value")) };
        match token {
            Token::Number(value) => {
                self.next += 1;
                Ok(Term::Literal(value))
            }
            Token::Text(text) => {
                self.next += 1;
                Ok(Term::Literal(Value::Str(text)))
            }
            Token::Sign("(") => {
                self.next += 1;
                let term = self.deeper(Self::or)?;
                self.need(")")?;
                Ok(term)
            }
            Token::Sign("[") => {
                self.next += 1;
                let items = self.items("]")?;
                Ok(Term::List(items))
            }
            Token::Sign(_) => Err(self.expected("a value")),
            Token::Word(word) => self.named(word, position),
        }
    }

    /// Terms with commas between them, up to a closing sign.
    fn items(&mut self, end: &str) -> Result<Vec<Term>, String> {
        let mut items = Vec::new();
        while !self.sign(end) {
            items.push(self.deeper(Self::or)?);
            if !self.sign(",") {
                self.need(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn call(&mut self, word: &str, position: usize) -> Result<Term, String> {
        let Some((_, function)) = FUNCTIONS.iter().find(|(name, _)| *name == word) else {
            let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "no function `{word}` at character {position}; there are {}",
                names.join(", ")
            ));
        };
        let items = self.items(")")?;
        let several = matches!(function, Function::Min | Function::Max);
        if items.is_empty() || items.len() > 1 && !several {
            return Err(format!("{word}() takes one value"));
        }
        Ok(Term::Call(*function, items))
    }

    fn named(&mut self, word: String, position: usize) -> Result<Term, String> {
        let literal = match word.as_str() {
            "True" | "true" => Some(Value::Bool(true)),
            "False" | "false" => Some(Value::Bool(false)),
            "None" | "null" => Some(Value::Null),
            "and" | "or" | "not" | "in" | "is" => return Err(self.expected("a value")),
            _ => None,
        };
        self.next += 1;
        if let Some(value) = literal {
            return Ok(Term::Literal(value));
        }
        if self.sign("(") {
            return self.call(&word, position);
        }
        let mut trailers = Vec::new();
        loop {
            if self.sign("[") {
                let index = self.deeper(Self::or)?;
                self.need("]")?;
                trailers.push(Trailer::Index(index));
            } else if self.sign(".") {
                let Some(Token::Word(attribute)) = self.peek().cloned() else {
                    return Err(self.expected("an attribute"));
                };
                self.next += 1;
                if attribute == "get" && self.sign("(") {
                    let key = self.deeper(Self::or)?;
                    let default = if self.sign(",") { Some(self.deeper(Self::or)?) } else { None };
                    self.need(")")?;
                    trailers.push(Trailer::Get(key, default));
                } else {
                    trailers.push(Trailer::Attribute(attribute));
                }
            } else {
                return Ok(Term::Name(word, trailers));
            }
        }
    }
}
