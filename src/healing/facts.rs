//! What remedies want to know about a score and an instrument, for whoever fills a [`super::Context`].

use crate::instrument::Profile;
use crate::plan::{BUILT_IN, Plan};
use crate::score::{InjectionSource, InstrumentConfig, Rule, Score};
use crate::util::redact::is_secret_name;

/// Paths as a score writes them, each with its key.
#[must_use]
pub fn written_paths(score: &Score) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    let mut rules = |section: &str, rules: &[Rule]| {
        for (index, rule) in rules.iter().enumerate() {
            for (key, path) in [("path", &rule.path), ("working_directory", &rule.working_directory)] {
                paths.extend(path.as_ref().map(|path| (format!("{section}.{index}.{key}"), path.clone())));
            }
        }
    };
    rules("validations", &score.validations);
    rules("preconditions", &score.preconditions);
    let own = score.sheet.cadenzas.iter().map(|(sheet, list)| (format!("sheet.cadenzas.{sheet}"), list));
    for (section, list) in std::iter::once(("sheet.prelude".to_owned(), &score.sheet.prelude)).chain(own) {
        for (index, injection) in list.iter().enumerate() {
            let (InjectionSource::File(path) | InjectionSource::Directory(path)) = &injection.source;
            paths.push((format!("{section}.{index}"), path.clone()));
        }
    }
    paths
}

/// Names that a template may use.
#[must_use]
pub fn known_names(plan: &Plan) -> Vec<String> {
    let own = plan.user_variables.iter().filter_map(|(key, _)| key.as_str());
    BUILT_IN.into_iter().chain(own).map(str::to_owned).collect()
}

/// Variables that hold the credentials of an instrument: those that its profile needs and that sound like one, and
/// the one that the score names.
#[must_use]
pub fn key_variables(profile: &Profile, config: &InstrumentConfig) -> Vec<String> {
    let needed = profile.command.iter().flat_map(|command| command.required_env.iter().flatten());
    let mut names: Vec<String> = needed.filter(|name| is_secret_name(name)).cloned().collect();
    names.extend(config.api_key_env.clone());
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::instrument::Registry;
    use crate::plan::{self, Overrides};
    use crate::score::{Source, load};

    #[test]
    fn paths_and_names_of_a_score() {
        let text = "name: a\nworkspace: ws\nprompt: {template: x, variables: {topic: b}}\n\
                    sheet: {size: 1, total_items: 1, cadenzas: {1: [{directory: 'in\\d', as: context}]}}\n\
                    validations: [{type: command_succeeds, command: x}, {type: file_exists, path: 'out\\a.md'}]\n";
        let source = Source { text: text.to_owned(), base: "/w".into(), ..Source::default() };
        let score = load(&source).score.unwrap();
        let expected = [("validations.1.path", r"out\a.md"), ("sheet.cadenzas.1.0", r"in\d")];
        assert_eq!(written_paths(&score), expected.map(|(key, path)| (key.to_owned(), path.to_owned())));
        let plan = plan::expand(&score, &Overrides::default()).unwrap();
        let names = known_names(&plan);
        assert!(names.contains(&"topic".to_owned()) && names.contains(&"sheet_num".to_owned()));
    }

    #[test]
    fn variables_with_credentials() {
        let registry = Registry::built_in();
        let config = InstrumentConfig { api_key_env: Some("MY_KEY".into()), ..InstrumentConfig::default() };
        let names = key_variables(registry.get("cli").unwrap(), &config);
        assert_eq!(names, ["MY_KEY"]);
    }
}
