//! The keys of a score: the one list from which the schema and `docs/score-reference.md` are made.

mod around;
mod core;
mod further;
mod instruments;
mod running;

use super::key::Group;

/// For the schema.
pub(super) const ABOUT: &str = "A score: how work is divided into sheets, what each sheet's program is told, and what must hold afterwards.";

/// The beginning of the reference.
pub(super) const INTRODUCTION: &str = include_str!("introduction.md");

/// The end of the reference.
pub(super) const CLOSING: &str = include_str!("closing.md");

/// All keys.
pub(super) const GROUPS: &[Group] = &[
    Group { title: "Top level", text: "", keys: core::TOP_LEVEL },
    Group { title: "sheet", text: "", keys: core::SHEET },
    Group { title: "prompt", text: "", keys: core::PROMPT },
    Group {
        title: "instrument_config",
        text: "The same keys stand in `instruments.*.config`, `movements.*.instrument_config` and `sheet.per_sheet_instrument_config.*`.\nLater levels win: `backend`, `instrument_config`, alias, movement, sheet.\nA model set for the whole score reaches only sheets with the profile of the score.\nOther keys have no effect and are remarked.",
        keys: instruments::INSTRUMENT_CONFIG,
    },
    Group { title: "instruments and movements", text: "", keys: instruments::INSTRUMENTS_MOVEMENTS },
    Group {
        title: "backend",
        text: "`backend.type: claude_cli` means the profile `claude-code` with text output; so does a score that names no instrument.\nKeys that the named type does not know are ignored with a warning.",
        keys: instruments::BACKEND,
    },
    Group { title: "validations", text: "`preconditions` has the same keys.", keys: running::VALIDATIONS },
    Group { title: "retry", text: "", keys: running::RETRY },
    Group { title: "parallel", text: "", keys: running::PARALLEL },
    Group { title: "rate_limit", text: "", keys: running::RATE_LIMIT },
    Group { title: "cross_sheet", text: "", keys: running::CROSS_SHEET },
    Group { title: "stale_detection", text: "", keys: running::STALE_DETECTION },
    Group {
        title: "conductor and agent_card",
        text: "Shown by `job.status`. Only the time for an answer changes what a job does.",
        keys: around::CONDUCTOR_AGENT_CARD,
    },
    Group {
        title: "circuit_breaker",
        text: "It belongs to an instrument and its model, and is shared by all jobs of the conductor.",
        keys: around::CIRCUIT_BREAKER,
    },
    Group { title: "cost_limits", text: "", keys: around::COST_LIMITS },
    Group { title: "workspace_lifecycle", text: "", keys: around::WORKSPACE_LIFECYCLE },
    Group {
        title: "on_success and on_failure",
        text: "Both have the keys below; [hooks.md](hooks.md) has examples. Hooks of `on_success` run when the run has completed at least one sheet.",
        keys: around::ON_SUCCESS_ON_FAILURE,
    },
    Group { title: "concert", text: "", keys: around::CONCERT },
    Group { title: "notifications", text: "", keys: around::NOTIFICATIONS },
    Group {
        title: "isolation",
        text: "[around-a-job.md](around-a-job.md) tells what becomes of worktrees.",
        keys: around::ISOLATION,
    },
    Group {
        title: "learning",
        text: "There is no store of outcomes yet: until there is, only `escalation_enabled` acts.",
        keys: further::LEARNING,
    },
    Group { title: "logging and feedback", text: "", keys: around::LOGGING_FEEDBACK },
    Group { title: "grounding and checkpoints", text: "", keys: around::GROUNDING_CHECKPOINTS },
    Group { title: "Others", text: "", keys: further::OTHERS },
];
