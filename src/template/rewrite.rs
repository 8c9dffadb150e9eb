//! Writes operators, slices and mappings as calls before a template is compiled, because the engine's own differ from
//! Python's, know no bounds, or make values that cannot be changed: `a + b < c` becomes
//! `__compare(__calc(a, '+', b), '<', c)`, `x[1:]` becomes `x.__slice(1, none, none)`, `{'k': v}` becomes
//! `__dict('k', v)`, `[a, b]` becomes `__list(a, b)`, and what `set` and `with` keep passes through `__keep`. The engine
//! makes a literal of constants once for all; a call makes a fresh value each time, which can be changed as Python's can.
//!
//! It follows the grammar of expressions, so the calls bind as the operators did. Lines stay where they are. A tag that it
//! cannot read is left to the engine, which says what is wrong with it; when the engine finds nothing wrong, the tag is
//! refused all the same ([`Rewritten::unread`]), because what is not rewritten is not bounded.

use super::nesting;
use super::tokens::{Kind, Token, tokens};

/// The function for `+`, `-`, `*`, `/`, `//`, `%`, `**` and `~`: values and operators in turn.
pub(super) const CALC: &str = "__calc";
/// The function for `==`, `!=`, `<`, `<=`, `>`, `>=`, `in` and `not in`: values and operators in turn.
pub(super) const COMPARE: &str = "__compare";
/// The function for `{...}`: keys and values in turn.
pub(super) const DICT: &str = "__dict";
/// The function for `[...]`: its items.
pub(super) const LIST: &str = "__list";
/// The function for values that a name will hold.
pub(super) const KEEP: &str = "__keep";
/// The method for `[from:to:step]`.
pub(super) const SLICE: &str = "__slice";
/// More entries are left to the engine, which limits the number of arguments.
const MAX_ENTRIES: usize = 900;

/// A template as the engine gets it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rewritten {
    /// `None` when nothing had to be changed.
    pub(super) text: Option<String>,
    /// Line of the first tag that was not understood.
    pub(super) unread: Option<usize>,
}

/// One replacement. At one place what ends comes before what begins, and of what begins the outermost is first.
#[derive(Debug)]
struct Edit {
    from: usize,
    to: usize,
    begins: bool,
    text: String,
}

/// The template with its operators written as calls.
pub(super) fn operators(text: &str) -> Rewritten {
    let mut edits: Vec<Edit> = Vec::new();
    let mut unread = None;
    nesting::each_tag(text, |start, body| {
        let mut mine = Vec::new();
        let read = tokens(body, start).and_then(|tokens| {
            Reader::new(&tokens, start, body.len(), &mut mine).tag(text.as_bytes()[start - 1])
        });
        match read {
            Some(()) => edits.append(&mut mine),
            None => unread = unread.or_else(|| Some(1 + text[..start].matches('\n').count())),
        }
    });
    if edits.is_empty() {
        return Rewritten { text: None, unread };
    }
    let order = |at: usize, edit: &Edit| {
        let position = i64::try_from(at).unwrap_or(i64::MAX);
        (edit.from, edit.to, edit.begins, if edit.begins { -position } else { position })
    };
    let mut places: Vec<usize> = (0..edits.len()).collect();
    places.sort_by_key(|at| order(*at, &edits[*at]));
    let mut out = String::with_capacity(text.len() + edits.len() * 8);
    let mut at = 0;
    for edit in places.into_iter().map(|place| &edits[place]) {
        out.push_str(&text[at..edit.from]);
        out.push_str(&edit.text);
        at = edit.to;
    }
    out.push_str(&text[at..]);
    Rewritten { text: Some(out), unread }
}

/// Reads one tag. Every method leaves `at` behind what it read; `None` is: this is not an expression.
struct Reader<'a, 't> {
    all: &'a [Token<'t>],
    at: usize,
    /// Behind the last token that counts: before a mark for white space, or a closing bracket.
    end: usize,
    /// Inside a literal whose value is kept as a whole.
    kept: bool,
    edits: &'a mut Vec<Edit>,
}

impl<'a, 't> Reader<'a, 't> {
    fn new(all: &'a [Token<'t>], start: usize, length: usize, edits: &'a mut Vec<Edit>) -> Self {
        let mark = |token: &Token<'_>| matches!(token.text, "-" | "+");
        let at = usize::from(all.first().is_some_and(|token| mark(token) && token.start == start));
        let last = all.last().filter(|token| all.len() > at && mark(token) && token.end() == start + length);
        let end = all.len() - usize::from(last.is_some());
        Self { all, at, end, kept: false, edits }
    }

    /// A whole tag; `opened` is the second character of what opened it.
    fn tag(mut self, opened: u8) -> Option<()> {
        if opened == b'{' {
            let from = self.at;
            self.condition(true)?;
            self.tuple(from)?;
            return self.over();
        }
        let word = self.all.get(self.at).filter(|token| token.kind == Kind::Name && self.at < self.end)?.text;
        self.at += 1;
        match word {
            "if" | "elif" | "do" => self.condition(true)?,
            // Nothing is escaped in prompts unless a filter does it.
            "autoescape" => self.skip("false").then_some(())?,
            "for" => self.for_loop()?,
            "set" => self.set()?,
            "with" => self.with()?,
            "macro" => {
                self.name()?;
                self.parameters()?;
            }
            "call" => {
                if self.peek().is_some_and(|token| matches!(token.kind, Kind::Open(_))) {
                    self.parameters()?;
                }
                self.condition(true)?;
            }
            "filter" => self.filter_chain()?,
            // Nothing to calculate in, or nothing that scores have.
            _ => return Some(()),
        }
        self.over()
    }

    fn over(&self) -> Option<()> {
        (self.at == self.end).then_some(())
    }

    fn peek(&self) -> Option<&Token<'t>> {
        (self.at < self.end).then(|| &self.all[self.at])
    }

    fn is(&self, text: &str) -> bool {
        self.peek().is_some_and(|token| token.text == text && token.kind != Kind::Text)
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.is(text);
        self.at += usize::from(found);
        found
    }

    fn name(&mut self) -> Option<()> {
        let found = self.peek()?.kind == Kind::Name;
        self.at += 1;
        found.then_some(())
    }

    fn edit(&mut self, from: usize, to: usize, begins: bool, text: impl Into<String>) {
        self.edits.push(Edit { from, to, begins, text: text.into() });
    }

    /// Puts text before the token `from` and behind the token that was read last.
    fn around(&mut self, from: usize, before: &str, behind: &str) {
        let (start, end) = (self.all[from].start, self.all[self.at - 1].end());
        self.edit(end, end, false, behind);
        self.edit(start, start, true, before);
    }

    /// `, more, values` behind the expression that began at `from`.
    fn tuple(&mut self, from: usize) -> Option<bool> {
        if !self.is(",") {
            return Some(false);
        }
        while self.skip(",") {
            if self.at == self.end {
                break;
            }
            self.condition(true)?;
        }
        self.around(from, "(", ")");
        Some(true)
    }

    fn for_loop(&mut self) -> Option<()> {
        self.target(&["in"])?;
        self.skip("in").then_some(())?;
        let from = self.at;
        self.condition(false)?;
        if self.is(",") {
            while self.skip(",") {
                self.condition(false)?;
            }
            self.around(from, "(", ")");
        }
        if self.skip("if") {
            self.condition(true)?;
        }
        self.skip("recursive");
        Some(())
    }

    /// Names that are given a value, up to one of these words.
    fn target(&mut self, until: &[&str]) -> Option<()> {
        while let Some(token) = self.peek() {
            if until.contains(&token.text) {
                return Some(());
            }
            match token.kind {
                Kind::Name | Kind::Open(_) | Kind::Close => self.at += 1,
                Kind::Other if matches!(token.text, "," | ".") => self.at += 1,
                _ => return None,
            }
        }
        Some(())
    }

    fn set(&mut self) -> Option<()> {
        self.target(&["=", "|"])?;
        if self.at == self.end {
            return Some(());
        }
        if self.skip("|") {
            return self.filter_chain();
        }
        self.skip("=").then_some(())?;
        let from = self.at;
        self.condition(true)?;
        self.tuple(from)?;
        self.around(from, &format!("{KEEP}("), ")");
        Some(())
    }

    fn with(&mut self) -> Option<()> {
        while self.at < self.end {
            self.target(&["="])?;
            self.skip("=").then_some(())?;
            let from = self.at;
            self.condition(true)?;
            self.around(from, &format!("{KEEP}("), ")");
            if !self.skip(",") {
                break;
            }
        }
        Some(())
    }

    /// `(a, b=1)` of a macro.
    fn parameters(&mut self) -> Option<()> {
        let close = self.bracket()?;
        let outer = std::mem::replace(&mut self.end, close);
        while self.at < close {
            self.name()?;
            if self.skip("=") {
                self.condition(true)?;
            }
            if !self.skip(",") {
                break;
            }
        }
        self.over()?;
        self.leave(outer);
        Some(())
    }

    /// Enters a bracket and says where it closes.
    fn bracket(&mut self) -> Option<usize> {
        let Kind::Open(close) = self.peek()?.kind else { return None };
        self.at += 1;
        Some(close)
    }

    fn leave(&mut self, outer: usize) {
        self.at = self.end + 1;
        self.end = outer;
    }

    /// `upper|replace('a', 'b')` without a value in front.
    fn filter_chain(&mut self) -> Option<()> {
        loop {
            self.dotted()?;
            if self.is("(") {
                self.arguments()?;
            }
            if !self.skip("|") {
                return Some(());
            }
        }
    }

    fn dotted(&mut self) -> Option<()> {
        self.name()?;
        while self.skip(".") {
            self.name()?;
        }
        Some(())
    }

    /// `a if b else c`; without `if` where that word means something else.
    fn condition(&mut self, with_if: bool) -> Option<()> {
        self.any()?;
        while with_if && self.skip("if") {
            self.any()?;
            if self.skip("else") {
                self.condition(true)?;
            }
        }
        Some(())
    }

    /// `or`, `and`, `not`: the engine's own, because they do not look at what they need not.
    fn any(&mut self) -> Option<()> {
        loop {
            while self.skip("not") {}
            self.comparison()?;
            if !self.skip("or") && !self.skip("and") {
                return Some(());
            }
        }
    }

    fn comparison(&mut self) -> Option<()> {
        let from = self.at;
        self.sum()?;
        let mut found: Vec<(usize, usize, &'t str)> = Vec::new();
        let mut constant = self.constant(from);
        while let Some(token) = self.peek() {
            let first = self.at;
            let operator = match (token.kind, token.text) {
                (Kind::Other, text @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) => text,
                (Kind::Name, "in") => "in",
                (Kind::Name, "not") if self.all.get(self.at + 1).is_some_and(|next| next.text == "in") => {
                    self.at += 1;
                    "not in"
                }
                _ => break,
            };
            self.at += 1;
            found.push((first, self.at - 1, operator));
            let operand = self.at;
            self.sum()?;
            constant |= self.constant(operand);
        }
        // Whether something is a given number or text the engine knows as well.
        let simple = found.len() == 1 && matches!(found[0].2, "==" | "!=") && constant;
        if !found.is_empty() && !simple {
            self.call(from, COMPARE, &found);
        }
        Some(())
    }

    /// What was read since `from` is a single number or text.
    fn constant(&self, from: usize) -> bool {
        self.at == from + 1 && matches!(self.all[from].kind, Kind::Text | Kind::Number)
    }

    fn sum(&mut self) -> Option<()> {
        self.level(&["+", "-"], |reader| {
            reader.level(&["~"], |reader| {
                reader.level(&["*", "/", "//", "%"], |reader| reader.level(&["**"], |reader| reader.value()))
            })
        })
    }

    /// Operands and these operators between them.
    fn level(&mut self, operators: &[&str], operand: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        let from = self.at;
        operand(self)?;
        let mut found = Vec::new();
        while let Some(token) = self.peek().copied() {
            if token.kind != Kind::Other || !operators.contains(&token.text) {
                break;
            }
            found.push((self.at, self.at, token.text));
            self.at += 1;
            operand(self)?;
        }
        if !found.is_empty() {
            self.call(from, CALC, &found);
        }
        Some(())
    }

    fn call(&mut self, from: usize, name: &str, operators: &[(usize, usize, &str)]) {
        for (first, last, operator) in operators {
            let (start, end) = (self.all[*first].start, self.all[*last].end());
            self.edit(start, end, true, format!(", '{operator}', "));
        }
        self.around(from, &format!("{name}("), ")");
    }

    /// A value with its sign, what is picked from it, and its filters and tests.
    fn value(&mut self) -> Option<()> {
        self.signed()?;
        loop {
            if self.skip("|") {
                self.dotted()?;
                if self.is("(") {
                    self.arguments()?;
                }
            } else if self.skip("is") {
                self.skip("not");
                self.dotted()?;
                if self.is("(") {
                    self.arguments()?;
                } else if self.is_argument() {
                    self.signed()?;
                }
            } else {
                return Some(());
            }
        }
    }

    /// A test may take one argument without brackets.
    fn is_argument(&self) -> bool {
        self.peek().is_some_and(|token| match token.kind {
            Kind::Text | Kind::Number => true,
            Kind::Open(_) => token.text != "(",
            Kind::Name => {
                !matches!(token.text, "and" | "or" | "else" | "is" | "if" | "in" | "not" | "recursive")
            }
            Kind::Other | Kind::Close => false,
        })
    }

    fn signed(&mut self) -> Option<()> {
        while self.skip("-") || self.skip("+") {}
        let first = *self.peek()?;
        match first.kind {
            Kind::Text => {
                while self.peek().is_some_and(|token| token.kind == Kind::Text) {
                    self.at += 1;
                }
            }
            Kind::Number => self.at += 1,
            Kind::Name if matches!(first.text, "and" | "or" | "if" | "else" | "in" | "is" | "not") => {
                return None;
            }
            Kind::Name => self.at += 1,
            Kind::Open(_) if first.text == "{" => self.mapping()?,
            Kind::Open(close) => self.items(close, first.text == "[")?,
            Kind::Close | Kind::Other => return None,
        }
        loop {
            if self.skip(".") {
                let kind = self.peek()?.kind;
                matches!(kind, Kind::Name | Kind::Number).then_some(())?;
                self.at += 1;
            } else if self.is("[") {
                self.subscript()?;
            } else if self.is("(") {
                self.arguments()?;
            } else {
                return Some(());
            }
        }
    }

    /// The values in a list, or in round brackets. What is not constant is kept or made by a call, so that its size is known.
    fn items(&mut self, close: usize, list: bool) -> Option<()> {
        let from = self.at;
        let variable = self.all[from..close].iter().any(|token| token.kind == Kind::Name);
        let keep = variable && !self.kept && !list && self.has(close, ",");
        let before = self.kept;
        self.kept |= keep || list;
        self.at += 1;
        let mut count = 0;
        let outer = std::mem::replace(&mut self.end, close);
        while self.at < close {
            self.condition(true)?;
            count += 1;
            if !self.skip(",") {
                break;
            }
        }
        self.over()?;
        self.leave(outer);
        self.kept = before;
        if list && count <= MAX_ENTRIES {
            self.swap(from, &format!("{LIST}("));
            self.swap(close, ")");
        } else if keep || list {
            self.around(from, &format!("{KEEP}("), ")");
        }
        Some(())
    }

    /// Whether a bracket that opens here holds this sign at its own level.
    fn has(&self, close: usize, sign: &str) -> bool {
        let mut at = self.at + 1;
        while at < close {
            match self.all[at].kind {
                Kind::Open(inner) => at = inner,
                Kind::Other if self.all[at].text == sign => return true,
                _ => (),
            }
            at += 1;
        }
        false
    }

    fn mapping(&mut self) -> Option<()> {
        let from = self.at;
        let close = self.bracket()?;
        let outer = std::mem::replace(&mut self.end, close);
        let mut colons = Vec::new();
        while self.at < close {
            self.condition(true)?;
            colons.push(self.at);
            self.skip(":").then_some(())?;
            self.condition(true)?;
            if !self.skip(",") {
                break;
            }
        }
        self.over()?;
        self.leave(outer);
        if colons.len() <= MAX_ENTRIES {
            self.swap(from, &format!("{DICT}("));
            self.swap(close, ")");
            for colon in colons {
                self.swap(colon, ",");
            }
        }
        Some(())
    }

    /// Another text for one token.
    fn swap(&mut self, token: usize, text: &str) {
        let (start, end) = (self.all[token].start, self.all[token].end());
        self.edit(start, end, true, text);
    }

    fn subscript(&mut self) -> Option<()> {
        let from = self.at;
        let close = self.bracket()?;
        let outer = std::mem::replace(&mut self.end, close);
        let mut colons = Vec::new();
        let mut given = vec![false];
        while self.at < close {
            if self.is(":") {
                colons.push(self.at);
                given.push(false);
                self.at += 1;
            } else {
                self.condition(true)?;
                *given.last_mut()? = true;
                (self.at == close || self.is(":")).then_some(())?;
            }
        }
        self.leave(outer);
        if colons.is_empty() {
            return Some(());
        }
        (colons.len() <= 2).then_some(())?;
        let part = |at: usize| if given[at] { "" } else { "none" };
        self.swap(from, &format!(".{SLICE}({}", part(0)));
        for (at, colon) in colons.iter().enumerate() {
            self.swap(*colon, &format!(", {}", part(at + 1)));
        }
        self.swap(close, ")");
        Some(())
    }

    fn arguments(&mut self) -> Option<()> {
        let close = self.bracket()?;
        let outer = std::mem::replace(&mut self.end, close);
        while self.at < close {
            if !self.skip("**") {
                self.skip("*");
            }
            let named =
                self.all.get(self.at + 1).is_some_and(|next| next.text == "=" && next.kind == Kind::Other);
            if named {
                self.name()?;
                self.at += 1;
            }
            self.condition(true)?;
            if !self.skip(",") {
                break;
            }
        }
        self.over()?;
        self.leave(outer);
        Some(())
    }
}
