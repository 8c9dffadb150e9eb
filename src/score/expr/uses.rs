//! What a condition asks for: which names, which entries and attributes of them, and what they are compared with.

use super::{Op, Term, Trailer};
use crate::score::value::Value;

/// One use of a name: `sheets[2].status == "completed"`.
#[derive(Debug, Clone, PartialEq)]
pub struct Use<'a> {
    /// `sheets`.
    pub name: &'a str,
    /// `2`: the first index or `.get()` when it is written out as a number or text.
    pub index: Option<&'a Value>,
    /// There is an index, written out or not.
    pub indexed: bool,
    /// `status`: attributes and text indexes behind the first index, in order.
    pub attributes: Vec<&'a str>,
    /// Texts that it is compared with by `==`, `!=` or `in [...]`.
    pub compared: Vec<&'a str>,
}

pub(super) fn of(term: &Term) -> Vec<Use<'_>> {
    let mut uses = Vec::new();
    visit(term, &mut uses);
    uses
}

/// Recursion is bounded by the depth that reading allows.
fn visit<'a>(term: &'a Term, uses: &mut Vec<Use<'a>>) {
    match term {
        Term::Or(terms) | Term::And(terms) | Term::List(terms) | Term::Call(_, terms) => {
            terms.iter().for_each(|term| visit(term, uses));
        }
        Term::Not(term) | Term::Minus(term) => visit(term, uses),
        Term::Compare(first, rest) => {
            let at = uses.len();
            visit(first, uses);
            for (_, term) in rest {
                visit(term, uses);
            }
            if let (Term::Name(..), [(op, other)]) = (first.as_ref(), rest.as_slice())
                && let Some(one) = uses.get_mut(at)
            {
                one.compared = texts(*op, other);
            }
        }
        Term::Sum(first, rest) => {
            visit(first, uses);
            rest.iter().for_each(|(_, term)| visit(term, uses));
        }
        Term::Literal(_) => {}
        Term::Name(name, trailers) => {
            let at = uses.len();
            uses.push(Use {
                name,
                index: None,
                indexed: false,
                attributes: Vec::new(),
                compared: Vec::new(),
            });
            for (position, trailer) in trailers.iter().enumerate() {
                match trailer {
                    Trailer::Attribute(name) => uses[at].attributes.push(name),
                    Trailer::Index(key) | Trailer::Get(key, _) => {
                        let literal = if let Term::Literal(value) = key { Some(value) } else { None };
                        if position == 0 {
                            uses[at].index = literal;
                            uses[at].indexed = true;
                        } else if let Some(text) = literal.and_then(Value::as_str) {
                            uses[at].attributes.push(text);
                        }
                        visit(key, uses);
                    }
                }
                if let Trailer::Get(_, Some(default)) = trailer {
                    visit(default, uses);
                }
            }
        }
    }
}

fn texts(op: Op, other: &Term) -> Vec<&str> {
    match (op, other) {
        (Op::Equal | Op::NotEqual, Term::Literal(Value::Str(text))) => vec![text],
        (Op::In | Op::NotIn, Term::List(items)) => items
            .iter()
            .filter_map(
                |item| if let Term::Literal(Value::Str(text)) = item { Some(text.as_str()) } else { None },
            )
            .collect(),
        _ => Vec::new(),
    }
}
