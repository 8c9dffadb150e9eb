//! One row of a table: a key, what it takes, and what it does.

/// Keys that belong together, under a heading of the reference.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Heading.
    pub title: &'static str,
    /// Sentences below it, one per line; may be empty.
    pub text: &'static str,
    /// In the order of the reference.
    pub keys: &'static [Key],
}

/// One key of a document.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted path; `*` stands for a list index, a number or a name that the person chooses.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds without it.
    pub default: Default,
    /// `null` is taken as if the key were absent.
    pub nullable: bool,
    /// Whether it does something.
    pub acts: Acts,
    /// What it does.
    pub about: &'static str,
    /// What else is refused, beyond what `kind` says; "" for nothing.
    pub rule: &'static str,
}

/// Whether a key does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acts {
    /// It does what its row says.
    Yes,
    /// It is accepted and checked; what it needs is not there yet.
    NotYet,
    /// It is accepted for older documents and has no effect.
    Never,
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Anything.
    Any,
    /// Only null.
    Null,
    /// Whole number, both ends included; `MANY` is no upper limit.
    Int(i64, i64),
    /// Number.
    Number(Range),
    /// Number of seconds, at most 1,000,000,000.
    Seconds(Range),
    /// Truth value.
    Bool,
    /// Truth value that must be false: what it would switch on is not there.
    False,
    /// Text.
    Text,
    /// Text that is not empty.
    Filled,
    /// Text, or a bare number with a warning; least and most characters, 0 = no limit.
    Label(u32, u32),
    /// Text alone; least and most characters.
    Limited(u32, u32),
    /// Text that is a path.
    Path,
    /// Text that is a condition.
    Condition,
    /// Text that is a regular expression.
    Regex,
    /// Text that matches this pattern.
    Matching(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Mapping with the keys of the table that stand below this one, and no others.
    Section,
    /// The same; other keys have no effect and are remarked.
    Open,
    /// Any mapping.
    Free,
    /// The same, or null.
    OrNull(&'static Kind),
    /// List.
    List(&'static Kind),
    /// Mapping by numbers from 1.
    ByNumber(&'static Kind),
    /// Mapping by names.
    ByName(&'static Kind),
    /// What this other key takes; for a list or mapping of sections in a list or mapping, one of its items.
    Like(&'static str),
}

/// Range of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// `>=`
    Least(f64),
    /// `>`
    Above(f64),
    /// `>` and `<=`
    AboveTo(f64, f64),
    /// `>=` and `<=`
    Within(f64, f64),
}

/// What holds without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// The key must be there.
    Required,
    /// Nothing.
    Nothing,
    /// This JSON value.
    Is(&'static str),
    /// Something that is no fixed value, in words.
    Says(&'static str),
    /// The defaults of the keys below, or nothing that is worth a word.
    Unsaid,
}

/// Upper end of whole numbers without an upper limit.
pub(super) const MANY: i64 = i64::MAX;

/// A key that acts.
pub(super) const fn key(path: &'static str, kind: Kind, default: Default, about: &'static str) -> Key {
    let container = matches!(
        kind,
        Kind::Section | Kind::Open | Kind::Free | Kind::List(_) | Kind::ByNumber(_) | Kind::ByName(_)
    );
    let like = matches!(kind, Kind::Like(_) | Kind::Any | Kind::Null);
    let absent = matches!(default, Default::Nothing | Default::Says(_) | Default::Unsaid);
    let nullable = !matches!(default, Default::Required) && (container || like || absent);
    Key { path, kind, default, nullable, acts: Acts::Yes, about, rule: "" }
}

/// A key that is accepted and checked, but without effect until what it needs is there.
pub(super) const fn later(path: &'static str, kind: Kind, default: Default, about: &'static str) -> Key {
    let mut key = key(path, kind, default, about);
    key.acts = Acts::NotYet;
    key
}

/// A key that is accepted and checked because older documents have it, and has no effect.
pub(super) const fn older(path: &'static str, kind: Kind, default: Default, about: &'static str) -> Key {
    let mut key = key(path, kind, default, about);
    key.acts = Acts::Never;
    key
}

impl Key {
    /// The same, refusing more than its kind says.
    pub(super) const fn rule(mut self, rule: &'static str) -> Self {
        self.rule = rule;
        self
    }

    /// The same, where null is an error.
    pub(super) const fn never_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// The same, where null is as good as nothing.
    pub(super) const fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The path above it and its own name.
    pub(super) fn split(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }
}
