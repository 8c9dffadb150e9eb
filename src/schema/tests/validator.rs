//! A validator for the part of JSON Schema that the schemas use; an unknown word in a schema is a failure.

use regex::Regex;
use serde_json::Value;

/// Whether a value satisfies a part of a schema.
pub(crate) fn valid(root: &Value, schema: &Value, value: &Value) -> bool {
    match schema {
        Value::Bool(verdict) => *verdict,
        Value::Object(words) => words.iter().all(|(word, wanted)| holds(root, schema, word, wanted, value)),
        _ => panic!("no schema: {schema}"),
    }
}

fn holds(root: &Value, schema: &Value, word: &str, wanted: &Value, value: &Value) -> bool {
    let number = value.as_f64();
    let text = value.as_str();
    let limit = || wanted.as_f64().unwrap();
    let length = |text: &str| u64::try_from(text.chars().count()).unwrap();
    match word {
        "$schema" | "title" | "description" | "default" | "$defs" | "format" | "deprecated" => true,
        "$ref" => {
            let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
            valid(root, &root["$defs"][name], value)
        }
        "type" => match wanted {
            Value::Array(types) => types.iter().any(|one| is_type(one.as_str().unwrap(), value)),
            one => is_type(one.as_str().unwrap(), value),
        },
        "const" => number == wanted.as_f64(),
        "enum" => wanted.as_array().unwrap().contains(value),
        "anyOf" => wanted.as_array().unwrap().iter().any(|one| valid(root, one, value)),
        "minimum" => number.is_none_or(|number| number >= limit()),
        "exclusiveMinimum" => number.is_none_or(|number| number > limit()),
        "maximum" => number.is_none_or(|number| number <= limit()),
        "minLength" => text.is_none_or(|text| length(text) >= wanted.as_u64().unwrap()),
        "maxLength" => text.is_none_or(|text| length(text) <= wanted.as_u64().unwrap()),
        "pattern" => text.is_none_or(|text| Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text)),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| valid(root, wanted, item))),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap()),
        "uniqueItems" => value
            .as_array()
            .is_none_or(|items| items.iter().enumerate().all(|(at, item)| !items[..at].contains(item))),
        "required" => value.as_object().is_none_or(|members| {
            wanted.as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
        }),
        "properties" | "patternProperties" | "additionalProperties" => value
            .as_object()
            .is_none_or(|members| members.iter().all(|(name, value)| member(root, schema, name, value))),
        unknown => panic!("the validator does not know `{unknown}`"),
    }
}

fn member(root: &Value, schema: &Value, name: &str, value: &Value) -> bool {
    let mut covered = false;
    if let Some(inner) = schema["properties"].get(name) {
        covered = true;
        if !valid(root, inner, value) {
            return false;
        }
    }
    for (pattern, inner) in schema["patternProperties"].as_object().into_iter().flatten() {
        if Regex::new(pattern).unwrap().is_match(name) {
            covered = true;
            if !valid(root, inner, value) {
                return false;
            }
        }
    }
    covered || schema.get("additionalProperties").is_none_or(|inner| valid(root, inner, value))
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("no type: {other}"),
    }
}
