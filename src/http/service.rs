//! How the services of language models are spoken to: one prompt, one answer. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A way to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// `/v1/messages`.
    Anthropic,
    /// `/v1/chat/completions`, which many servers imitate.
    OpenAi,
    /// `/api/chat` of a local model server.
    Ollama,
}

/// What is asked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Question<'a> {
    pub(super) model: &'a str,
    pub(super) prompt: &'a str,
    pub(super) system: Option<&'a str>,
    pub(super) max_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) num_ctx: Option<u64>,
    pub(super) keep_alive: Option<&'a str>,
}

/// What is answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) model: Option<String>,
    /// The answer ends because it is long enough, not because it is complete.
    pub(super) cut: bool,
}

impl Family {
    const ALL: [(&str, Self); 3] =
        [("anthropic", Self::Anthropic), ("openai", Self::OpenAi), ("ollama", Self::Ollama)];

    /// As it is written in a profile.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, family)| *family == self).map_or("", |(name, _)| name)
    }

    /// The family of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, family)| *family)
    }

    /// Path below the base address, unless the profile says another.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Anthropic => "/v1/messages",
            Self::OpenAi => "/v1/chat/completions",
            Self::Ollama => "/api/chat",
        }
    }

    /// The service does not answer without `max_tokens`.
    #[must_use]
    pub const fn default_max_tokens(self) -> Option<u64> {
        match self {
            Self::Anthropic => Some(16_384),
            Self::OpenAi | Self::Ollama => None,
        }
    }

    /// Headers beside the content type.
    pub(super) fn headers(self, key: Option<&str>) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        match (self, key) {
            (Self::Anthropic, key) => {
                add("anthropic-version", "2023-06-01".to_owned());
                if let Some(key) = key {
                    add("x-api-key", key.to_owned());
                }
            }
            (Self::OpenAi | Self::Ollama, Some(key)) => add("authorization", format!("Bearer {key}")),
            (Self::OpenAi | Self::Ollama, None) => (),
        }
        headers
    }

    pub(super) fn body(self, ask: &Question<'_>) -> Value {
        let user = json!({ "role": "user", "content": ask.prompt });
        let mut body = Map::new();
        body.insert("model".into(), ask.model.into());
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(key.to_owned(), value);
            }
        };
        let with_system = || {
            let system = ask.system.map(|text| json!({ "role": "system", "content": text }));
            Value::Array(system.into_iter().chain([user.clone()]).collect())
        };
        let max_tokens = ask.max_tokens.or(self.default_max_tokens()).map(Value::from);
        let temperature = ask.temperature.map(Value::from);
        match self {
            Self::Anthropic => {
                set("max_tokens", max_tokens);
                set("temperature", temperature);
                set("system", ask.system.map(Value::from));
                set("messages", Some(json!([user])));
            }
            Self::OpenAi => {
                set("max_tokens", max_tokens);
                set("temperature", temperature);
                set("messages", Some(with_system()));
            }
            Self::Ollama => {
                let mut options = Map::new();
                for (key, value) in [
                    ("num_ctx", ask.num_ctx.map(Value::from)),
                    ("num_predict", max_tokens),
                    ("temperature", temperature),
                ] {
                    if let Some(value) = value {
                        options.insert(key.to_owned(), value);
                    }
                }
                set("messages", Some(with_system()));
                set("stream", Some(false.into()));
                set("keep_alive", ask.keep_alive.map(Value::from));
                set("options", Some(options.into()));
            }
        }
        body.into()
    }

    /// The answer in a reply; `None` when there is no text in it.
    pub(super) fn said(self, reply: &Value) -> Option<Said> {
        let count = |path: &str| reply.pointer(path).and_then(Value::as_u64);
        let word = |path: &str| reply.pointer(path).and_then(Value::as_str);
        let (text, input_tokens, output_tokens, cut) = match self {
            Self::Anthropic => {
                let parts = reply.get("content")?.as_array()?;
                let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
                let cut = word("/stop_reason") == Some("max_tokens");
                (texts.concat(), count("/usage/input_tokens"), count("/usage/output_tokens"), cut)
            }
            Self::OpenAi => {
                let cut = word("/choices/0/finish_reason") == Some("length");
                let text = word("/choices/0/message/content")?.to_owned();
                (text, count("/usage/prompt_tokens"), count("/usage/completion_tokens"), cut)
            }
            Self::Ollama => {
                let cut = word("/done_reason") == Some("length");
                let text = word("/message/content")?.to_owned();
                (text, count("/prompt_eval_count"), count("/eval_count"), cut)
            }
        };
        Some(Said { text, input_tokens, output_tokens, model: word("/model").map(str::to_owned), cut })
    }
}

/// The message of an error reply: what services put there, else the text itself.
pub(super) fn complaint(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let found = parsed.as_ref().and_then(|value| {
        ["/error/message", "/error", "/message", "/detail"]
            .iter()
            .find_map(|path| value.pointer(path).and_then(Value::as_str))
    });
    crate::util::text::first_line(found.unwrap_or(body), 300)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ASK: Question<'_> = Question {
        model: "m",
        prompt: "p",
        system: Some("s"),
        max_tokens: Some(7),
        temperature: Some(0.5),
        num_ctx: Some(4096),
        keep_alive: Some("5m"),
    };

    #[test]
    fn each_family_asks_in_its_own_words() {
        assert_eq!(
            Family::Anthropic.body(&ASK),
            json!({"model": "m", "max_tokens": 7, "temperature": 0.5, "system": "s",
                   "messages": [{"role": "user", "content": "p"}]})
        );
        assert_eq!(
            Family::OpenAi.body(&Question { system: None, max_tokens: None, ..ASK }),
            json!({"model": "m", "temperature": 0.5, "messages": [{"role": "user", "content": "p"}]})
        );
        assert_eq!(
            Family::Ollama.body(&ASK),
            json!({"model": "m", "stream": false, "keep_alive": "5m",
                   "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}],
                   "options": {"num_ctx": 4096, "num_predict": 7, "temperature": 0.5}})
        );
        let least = Family::Anthropic.body(&Question { model: "m", prompt: "p", ..Question::default() });
        assert_eq!(least["max_tokens"], 16_384, "the service refuses a request without it");
        assert_eq!(Family::Anthropic.headers(Some("k"))[1], ("x-api-key".to_owned(), "k".to_owned()));
        assert_eq!(Family::OpenAi.headers(Some("k"))[0].1, "Bearer k");
        assert!(Family::Ollama.headers(None).is_empty());
    }

    #[test]
    fn each_family_answers_in_its_own_words() {
        let anthropic = json!({"model": "m2", "content": [{"type": "text", "text": "a"}, {"type": "x"}, {"text": "b"}],
            "usage": {"input_tokens": 3, "output_tokens": 4}, "stop_reason": "max_tokens"});
        let said = Family::Anthropic.said(&anthropic).unwrap();
        assert_eq!((said.text.as_str(), said.input_tokens, said.output_tokens), ("ab", Some(3), Some(4)));
        assert!(said.cut && said.model.as_deref() == Some("m2"));
        let openai = json!({"choices": [{"message": {"content": "c"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
        let said = Family::OpenAi.said(&openai).unwrap();
        assert_eq!((said.text.as_str(), said.input_tokens, said.cut), ("c", Some(1), false));
        let ollama = json!({"message": {"content": "d"}, "prompt_eval_count": 5, "eval_count": 6});
        assert_eq!(Family::Ollama.said(&ollama).unwrap().output_tokens, Some(6));
        for family in [Family::Anthropic, Family::OpenAi, Family::Ollama] {
            assert_eq!(family.said(&json!({"error": "x"})), None);
            assert_eq!(Family::named(family.as_str()), Some(family));
        }
    }

    #[test]
    fn complaints_are_found_wherever_a_service_puts_them() {
        assert_eq!(complaint(r#"{"type":"error","error":{"type":"x","message":"too\nlong"}}"#), "too");
        assert_eq!(complaint(r#"{"error":"model 'x' not found"}"#), "model 'x' not found");
        assert_eq!(complaint("<html>Bad gateway"), "<html>Bad gateway");
    }
}
