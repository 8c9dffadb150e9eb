//! Requests of the conductor: a child process sends them.

use std::path::Path;
use std::time::Duration;

use super::child::REQUEST;
use super::{ARGUMENT, BUILT_IN, HOW_TO_GET_IT, HttpError, Reply, Request, Trouble};
use crate::executor::{self, BOUND_OUTPUT, BoundSpec, Control};

/// Beyond the timeout of the request, which the child keeps itself: starting and ending it.
const MARGIN: Duration = Duration::from_secs(2);
/// Between TERM and KILL; there is nothing that it could tidy up.
const GRACE: Duration = Duration::from_millis(200);

/// Has a child process of `program` (`mozart`) send a request, with this environment. Blocks until
/// there is an answer, for at most the timeout and two seconds; `control` ends it early.
///
/// # Errors
/// When there is no answer.
pub fn ask(
    program: &Path,
    request: &Request,
    env: Vec<(String, String)>,
    control: &Control,
) -> Result<Reply, HttpError> {
    if !BUILT_IN {
        return Err(HttpError::new(Trouble::NotBuilt, HOW_TO_GET_IT));
    }
    let input = serde_json::to_vec(request).expect("a request is plain data");
    let spec = BoundSpec {
        argv: vec![program.display().to_string(), ARGUMENT.to_owned(), REQUEST.to_owned()],
        cwd: Path::new("/").to_owned(),
        env,
        token: None,
        timeout: Some(request.timeout + MARGIN),
        grace: GRACE,
        output_cap: BOUND_OUTPUT,
        log: None,
    };
    let end = executor::bound_with_input(program, &spec, &input, control);
    let line = end.output.split(|byte| *byte == b'\n').rfind(|line| line.first() == Some(&b'{'));
    if let Some(result) = line.and_then(|line| serde_json::from_slice(line).ok()) {
        return result;
    }
    Err(if end.timed_out {
        HttpError::new(Trouble::Timeout, format!("{} did not answer in time", super::origin(&request.url)))
    } else {
        let why = match (&end.spawn_error, end.cancelled) {
            (Some(error), _) => error.message.clone(),
            (None, true) => "it was ended".to_owned(),
            (None, false) => "it ended without a word".to_owned(),
        };
        HttpError::new(Trouble::Lost, format!("the process that sends requests: {why}"))
    })
}
