//! Who is responsible for a job and what its agent can do, as `job.status` shows it. Words for people only: nothing
//! here changes what a job does.

use serde_json::{Value, json};

use super::{AgentCard, ConductorCard, Score};

impl AgentCard {
    /// `{name, description, skills: [{id, description}]}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let skill = |(id, description): &(String, String)| json!({ "id": id, "description": description });
        json!({
            "name": self.name,
            "description": self.description,
            "skills": self.skills.iter().map(skill).collect::<Vec<_>>(),
        })
    }
}

impl ConductorCard {
    /// `{name, role, identity_context, preferences: {...}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "role": self.role,
            "identity_context": self.identity_context,
            "preferences": {
                "prefer_minimal_output": self.prefer_minimal_output,
                "escalation_response_timeout_seconds": self.escalation_response_timeout_seconds,
                "auto_retry_on_transient_errors": self.auto_retry_on_transient_errors,
                "notification_channels": self.notification_channels,
            },
        })
    }
}

impl Score {
    /// `conductor` when the score has that section, else null.
    #[must_use]
    pub fn conductor_json(&self) -> Value {
        let written = self.written.iter().any(|name| name == "conductor");
        if written { self.conductor.to_json() } else { Value::Null }
    }

    /// `agent_card` when the score has one, else null.
    #[must_use]
    pub fn agent_card_json(&self) -> Value {
        self.agent_card.as_ref().map_or(Value::Null, AgentCard::to_json)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::score::{Source, load};
    use serde_json::Value;

    fn score(more: &str) -> crate::score::Score {
        let text = format!(
            "name: a\nworkspace: ws\nsheet: {{size: 1, total_items: 1}}\nprompt: {{template: x}}\n{more}"
        );
        load(&Source { text, base: "/w".into(), path: None, files: Default::default() }).score.unwrap()
    }

    #[test]
    fn cards_are_shown_as_they_are_written() {
        let plain = score("");
        assert_eq!((plain.conductor_json(), plain.agent_card_json()), (Value::Null, Value::Null));
        let score = score(
            "conductor: {name: Ada, role: ai, preferences: {notification_channels: [mail]}}\n\
             agent_card: {name: writer, description: writes, skills: [{id: prose, description: text}]}\n",
        );
        let conductor = score.conductor_json();
        assert_eq!(conductor["name"], "Ada");
        assert_eq!(conductor["role"], "ai");
        assert_eq!(conductor["preferences"]["notification_channels"][0], "mail");
        assert_eq!(score.agent_card_json()["skills"][0]["id"], "prose");
    }
}
