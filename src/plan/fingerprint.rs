//! A number for what a sheet is made of, to recognise it in a changed score.
//!
//! In it: template, variables, prompt parts, rules, instruments with model and settings, skip rules, and the stages
//! and instances that it depends on. Not in it: timeouts, retries, cost, notifications, descriptions, its number.
//! The digits must not change between versions of the program: a change would make every sheet "another sheet".

use std::io;

use serde::Serialize;

use super::stages::Skips;
use super::{InstrumentChoice, Plan};
use crate::score::{InstrumentConfig, Score, Value};

/// FNV-1a with 128 bits, over fields that carry their length.
#[derive(Clone, Copy)]
struct Hash(u128);

impl Hash {
    const fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u128::from(*byte);
            self.0 = self.0.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    fn field(&mut self, bytes: &[u8]) {
        self.bytes(&(bytes.len() as u64).to_le_bytes());
        self.bytes(bytes);
    }

    fn number(&mut self, number: u128) {
        self.bytes(&number.to_le_bytes());
    }

    /// Through the JSON text, which has one spelling.
    fn json(&mut self, value: &impl Serialize) {
        let mut inner = Self::new();
        serde_json::to_writer(&mut inner, value)
            .expect("writing to a number cannot fail, and keys are scalars");
        self.number(inner.0);
    }

    /// An integer key is not its digits as text here, as it is in JSON.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Map(map) => {
                self.number(1);
                for (key, value) in map.iter() {
                    self.number(if key.as_str().is_some() { 2 } else { 3 });
                    self.field(key.to_string().as_bytes());
                    self.value(value);
                }
                self.number(4);
            }
            Value::Seq(list) => {
                self.number(5);
                list.iter().for_each(|item| self.value(item));
                self.number(6);
            }
            Value::Float(number) => self.number(7 + (u128::from(number.to_bits()) << 64)),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Str(_) => self.json(value),
        }
    }
}

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fills the fingerprints of a plan that is complete otherwise.
pub(super) fn stamp(score: &Score, plan: &mut Plan, skips: &Skips<'_>) {
    let mut common = Hash::new();
    common.json(&score.prompt.template);
    common.json(&score.prompt.stakes);
    common.json(&score.prompt.thinking_method);
    common.json(&score.prompt.prompt_extensions);
    common.json(&score.sheet.prelude);
    common.value(&Value::Map(plan.user_variables.clone()));
    let rules: Vec<u128> = score
        .validations
        .iter()
        .map(|rule| {
            let mut hash = Hash::new();
            hash.json(rule);
            hash.0
        })
        .collect();
    let identity: Vec<(u32, u32)> = plan.sheets.iter().map(|sheet| (sheet.stage, sheet.instance)).collect();
    for sheet in &mut plan.sheets {
        let mut hash = common;
        hash.json(&(sheet.start_item, sheet.end_item, sheet.fan_count));
        hash.json(&score.sheet.cadenzas.get(&sheet.num.0));
        hash.json(&score.sheet.prompt_extensions.get(&sheet.num.0));
        hash.number(sheet.rules.len() as u128);
        sheet.rules.iter().for_each(|rule| hash.number(rules[*rule]));
        instrument(&mut hash, &sheet.instrument);
        hash.number(sheet.fallbacks.len() as u128);
        sheet.fallbacks.iter().for_each(|choice| instrument(&mut hash, choice));
        hash.json(&skips.when.get(&sheet.num.0));
        hash.json(&skips.command.get(&sheet.num.0));
        let mut before: Vec<(u32, u32)> = sheet.after.iter().map(|sheet| identity[sheet.index()]).collect();
        before.sort_unstable();
        hash.json(&before);
        sheet.fingerprint = format!("{:032x}", hash.0);
    }
}

fn instrument(hash: &mut Hash, choice: &InstrumentChoice) {
    hash.field(choice.name.as_bytes());
    let config = InstrumentConfig {
        timeout_seconds: None,
        kill_grace_seconds: None,
        nice: None,
        ..InstrumentConfig::clone(&choice.config)
    };
    hash.json(&config);
}
