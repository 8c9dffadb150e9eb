//! The top level of a score, `sheet` and `prompt`.

use crate::schema::key::Default::{Is, Nothing, Required, Says, Unsaid};
use crate::schema::key::Kind::{
    Any, Bool, ByName, ByNumber, Condition, Filled, Free, Int, Label, Like, List, Null, Number, Open, OrNull,
    Path, Section, Text, Word,
};
use crate::schema::key::Range::AboveTo;
use crate::schema::key::{Key, MANY, key, later, older};

pub(super) const TOP_LEVEL: &[Key] = &[
    key("name", Label(1, 128), Required, "Name shown to people; the id of the job is the stem of the file.")
        .rule("a name that begins with a dot or contains a slash"),
    key("description", Label(0, 0), Nothing, "Shown to people."),
    key("workspace", Path, Is("\"./workspace\""), "Directory that the sheets work in.").rule("an empty text"),
    key("instrument", Filled, Says("`claude-code`"), "Program that runs the sheets: a profile or an alias.")
        .rule("together with a `backend.type` other than `claude_cli`"),
    key("instrument_config", Open, Is("{}"), "Settings of the instrument."),
    key(
        "instrument_fallbacks",
        List(&Filled),
        Is("[]"),
        "Instruments tried in order when the first cannot be used.",
    )
    .rule("more than 16"),
    key("instruments", ByName(&Section), Is("{}"), "Aliases: a name, its profile and settings."),
    key("movements", ByNumber(&OrNull(&Section)), Is("{}"), "Names, instruments and voices of stages.")
        .rule("numbers of stages that the score does not have"),
    key("backend", Section, Is("{}"), "Older form of `instrument` and `instrument_config`."),
    key("sheet", Section, Required, "How the work is divided."),
    key("prompt", Section, Required, "What the instrument is told."),
    key("validations", List(&Section), Is("[]"), "What must be true after a sheet."),
    key(
        "preconditions",
        List(&Like("validations")),
        Is("[]"),
        "What must be true before anything of the job has run; otherwise it fails with E601.",
    ),
    key("retry", Section, Unsaid, "Further attempts."),
    key("parallel", Section, Unsaid, "Sheets side by side."),
    key("rate_limit", Section, Unsaid, "Waiting for an instrument."),
    key("cross_sheet", Section, Nothing, "What a sheet sees of earlier ones."),
    key("stale_detection", Section, Unsaid, "Ends programs that show no life."),
    key(
        "pause_between_sheets_seconds",
        Int(0, 1_000_000_000),
        Is("0"),
        "Wait after a sheet before the next one of a job that has nothing else running.",
    ),
    key("working_directory", Path, Nothing, "Read as `backend.working_directory`, with a warning."),
    older(
        "state_backend",
        Word(&["json", "sqlite"]),
        Is("\"sqlite\""),
        "The state is always in the database of the conductor.",
    ),
    older("state_path", Path, Nothing, "As `state_backend`."),
    key("circuit_breaker", Section, Unsaid, "When an instrument that fails again and again is left alone."),
    key("cost_limits", Section, Unsaid, "Limits on money and tokens."),
    key("workspace_lifecycle", Section, Unsaid, "Archives of the old content of the workspace."),
    key("on_success", List(&Section), Is("[]"), "Hooks after a completed job, one after the other."),
    key("on_failure", List(&Like("on_success")), Is("[]"), "Hooks after a failed job."),
    key("concert", Section, Unsaid, "How jobs are chained by `run_job`."),
    key("notifications", List(&Section), Is("[]"), "Messages to people and programs."),
    key("isolation", Section, Unsaid, "A git worktree for the job."),
    later(
        "learning",
        Section,
        Unsaid,
        "Learning from outcomes, which is not there yet, and questions to a person.",
    ),
    key("logging", Section, Unsaid, "A log of the job's own; without the section there is none."),
    key("feedback", Section, Unsaid, "What agents say about their work."),
    key("grounding", Section, Unsaid, "Checksums of files."),
    key("checkpoints", Section, Unsaid, "Places where a person is asked."),
    older("ai_review", Section, Unsaid, "Review by a model; refused when it is enabled."),
    key("conductor", Section, Unsaid, "Who is responsible; shown by `job.status`."),
    key("spec", Section, Unsaid, "Fragments of a specification in the prompts."),
    key("techniques", ByName(&Section), Is("{}"), "Skills, tool servers and protocols for stages."),
    key("agent_card", Section, Nothing, "Card of the agent; shown by `job.status`."),
    older("bridge", Section, Nothing, "Bridge to tool servers; refused when it is enabled."),
    key("self_healing", Section, Unsaid, "Mend causes of a failure before a sheet is given up."),
    key(
        "allow_shared_workspace",
        Bool,
        Is("false"),
        "Jobs that all say so may use the same workspace at once.",
    ),
    key(
        "redact_logs",
        Bool,
        Is("false"),
        "Hide credentials in the kept output of each attempt, after its end.",
    ),
    key("x-*", Any, Unsaid, "Ignored: a place for anchors."),
];

pub(super) const SHEET: &[Key] = &[
    key("sheet.size", Int(1, MANY), Required, "Items per sheet; 1 with fan-out."),
    key("sheet.total_items", Int(1, MANY), Required, "Number of the last item; with size 1 the number of stages.")
        .rule("a score of more than 10,000 sheets"),
    key("sheet.start_item", Int(1, MANY), Is("1"), "Number of the first item.")
        .rule("more than `total_items`"),
    key("sheet.dependencies", ByNumber(&OrNull(&List(&Int(1, MANY)))), Says("chain of stages"), "Stages that must be done before a stage. Without any entry each stage waits for the one before; with at least one, stages without an entry wait for nothing.")
        .rule("stages that do not exist, a stage that waits for itself, circles"),
    key("sheet.fan_out", ByNumber(&Int(1, MANY)), Is("{}"), "How many sheets a stage becomes. Each is an instance of the stage; a stage with as many instances as the one it waits for waits one by one, any other waits for all.")
        .rule("with a `size` or `start_item` other than 1; stages that do not exist"),
    key("sheet.skip_when", ByNumber(&Condition), Is("{}"), "Skip the sheets of the stage when the condition holds as they would start; one that cannot be decided skips nothing.")
        .rule("a condition that cannot be parsed"),
    key("sheet.skip_when_command", ByNumber(&Section), Is("{}"), "Skip a sheet of the stage when a command succeeds; whatever else comes of it, the sheet runs."),
    key("sheet.skip_when_command.*.command", Filled, Required, "Shell command, run in the workspace before the first attempt of the sheet."),
    key("sheet.skip_when_command.*.description", Label(0, 0), Nothing, "Reason that is shown."),
    key("sheet.skip_when_command.*.timeout_seconds", Number(AboveTo(0.0, 60.0)), Is("10"), "Longest run of the command, in seconds."),
    key("sheet.descriptions", ByNumber(&Label(0, 0)), Is("{}"), "Labels in status."),
    key("sheet.prelude", List(&Section), Is("[]"), "Files put into the prompt of every sheet.")
        .rule("an item with both `file` and `directory`, or neither"),
    key("sheet.prelude.*.file", Filled, Unsaid, "File; relative to the workspace."),
    key("sheet.prelude.*.directory", Filled, Unsaid, "All files of a directory, instead of `file`."),
    key("sheet.prelude.*.as", Word(&["context", "skill", "tool"]), Required, "What it is for."),
    key("sheet.cadenzas", ByNumber(&List(&Like("sheet.prelude"))), Is("{}"), "As `prelude`, for one sheet."),
    key("sheet.prompt_extensions", ByNumber(&List(&Text)), Is("{}"), "Further directives of one sheet."),
    key("sheet.per_sheet_instruments", ByNumber(&Filled), Is("{}"), "Instrument of one sheet."),
    key("sheet.per_sheet_instrument_config", ByNumber(&Like("instrument_config")), Is("{}"), "Settings of one sheet, as in `instrument_config`; they win over all others."),
    key("sheet.per_sheet_fallbacks", ByNumber(&List(&Filled)), Is("{}"), "Fallbacks of one sheet; an empty list means none."),
    key("sheet.instrument_map", ByName(&List(&Int(1, MANY))), Is("{}"), "Instruments and the sheets that they run.")
        .rule("a sheet under two names"),
    key("sheet.spec_tags", ByNumber(&List(&Filled)), Is("{}"), "Of the fragments of `spec`, the sheet gets those with one of these tags."),
    key("sheet.total_sheets", Any, Unsaid, "Ignored: it is computed."),
    key("sheet.fan_out_stage_map", Null, Unsaid, "Refused unless null: it is computed."),
];

pub(super) const PROMPT: &[Key] = &[
    key("prompt.template", Text, Says("a default prompt"), "Template of the prompt."),
    key("prompt.template_file", Filled, Nothing, "File with the template, instead of `template`.")
        .rule("together with `template`; a file that is not there"),
    key("prompt.variables", Free, Is("{}"), "Variables of the template; any YAML."),
    key("prompt.stakes", Text, Nothing, "`{{ stakes }}`."),
    key("prompt.thinking_method", Text, Nothing, "`{{ thinking_method }}`."),
    key(
        "prompt.prompt_extensions",
        List(&Text),
        Is("[]"),
        "Directives for all sheets; one line that ends in `.md` or `.txt` is a file.",
    ),
];
