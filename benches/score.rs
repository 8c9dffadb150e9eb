//! Text to sheets to prompts: `cargo bench --bench score`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use mozart::plan::{self, Overrides};
use mozart::score::{self, Score, Source};
use mozart::template::{self, Item, Vars};

#[expect(unreachable_pub, reason = "shared by benchmarks")]
mod texts;

use texts::long;

fn main() {
    divan::main();
}

fn source(text: String) -> Source {
    Source { path: None, text, files: BTreeMap::new(), base: PathBuf::from("/scores") }
}

fn loaded(text: &str) -> Score {
    let loaded = score::load(&source(text.to_owned()));
    loaded.score.unwrap_or_else(|| panic!("{:?}", loaded.issues))
}

/// Loading alone: YAML, decoding, conditions.
#[divan::bench]
fn load_a_thousand_lines(bencher: Bencher) {
    let source = source(long());
    bencher.counter(BytesCount::new(source.text.len())).bench_local(|| score::load(black_box(&source)));
}

/// Loading and arranging into sheets.
#[divan::bench]
fn load_and_expand_a_thousand_lines(bencher: Bencher) {
    let source = source(long());
    bencher.counter(BytesCount::new(source.text.len())).bench_local(|| {
        let score = score::load(black_box(&source)).score.expect("it is valid");
        plan::expand(&score, &Overrides::default())
    });
}

/// A job of ten thousand sheets.
#[divan::bench(sample_count = 20)]
fn expand_ten_thousand_sheets(bencher: Bencher) {
    let score = loaded("name: x\nsheet: {size: 1, total_items: 10000}\nprompt: {template: a}\n");
    bencher
        .counter(ItemsCount::new(10_000_u32))
        .bench_local(|| plan::expand(black_box(&score), &Overrides::default()));
}

/// From text to the prompts of two hundred sheets; the budget is 20 ms.
#[divan::bench]
fn two_hundred_prompts_from_text(bencher: Bencher) {
    let text = "name: x\nsheet: {size: 1, total_items: 200}\nprompt:\n  variables: {who: you, rules: [one, two, three]}\n  \
                template: |\n    Sheet {{ sheet_num }} of {{ total_sheets }} in {{ workspace }} for {{ who }}.\n    \
                {% for rule in rules %}- {{ rule | upper }}\n    {% endfor %}\n    \
                {% if sheet_num > 1 %}The one before was {{ sheet_num - 1 }}.{% endif %}\n";
    let source = source(text.to_owned());
    bencher.counter(ItemsCount::new(200_u32)).bench_local(|| {
        let score = score::load(black_box(&source)).score.expect("it is valid");
        let plan = plan::expand(&score, &Overrides::default()).expect("it has sheets");
        let template = score.prompt.template.as_deref().unwrap_or_default();
        plan.sheets
            .iter()
            .map(|sheet| {
                let mut vars = Vars::new();
                for (name, value) in plan.variables(&score, sheet.num).iter() {
                    vars.set(&name.to_string(), item(value));
                }
                template::render(template, &vars).expect("it renders").len()
            })
            .sum::<usize>()
    });
}

/// The schema that editors read.
#[divan::bench]
fn schema_of_scores() -> usize {
    mozart::schema::Document::Score.json_schema().to_string().len()
}

fn item(value: &score::Value) -> Item {
    let json = serde_json::to_value(value).expect("values of a score are JSON");
    Item::from(&json)
}
