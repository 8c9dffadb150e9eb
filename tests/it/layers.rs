//! The layers of the house plan: imports point down or sideways, and the pure core touches nothing outside.

use std::fs;
use std::path::{Path, PathBuf};

/// Layer of every top-level module (docs/architecture.md).
const LAYERS: &[(u8, &[&str])] = &[
    (0, &["ids", "time", "util"]),
    (
        1,
        &[
            "ndjson",
            "rpc",
            "score",
            "schema",
            "fleet",
            "plan",
            "template",
            "classify",
            "checkpoint",
            "exec",
            "sched",
            "pressure",
            "config",
            "cost",
        ],
    ),
    (
        2,
        &[
            "file",
            "guard",
            "process",
            "instrument",
            "executor",
            "validate",
            "lint",
            "store",
            "monitor",
            "http",
            "notify",
            "isolation",
            "archive",
            "healing",
            "grounding",
            "joblog",
        ],
    ),
    (3, &["worker", "net", "conductor", "client"]),
    (4, &["daemon", "cli"]),
];

/// What the pure core may not name.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "std::os::unix::net",
    "Instant::now",
    "SystemTime::now",
    "nix::",
    "mio::",
    "rusqlite::",
    "sysinfo::",
    "crossbeam_channel::",
    "Timestamp::now",
    "Zoned::now",
    "getrandom",
];

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&module)).map(|(layer, _)| *layer)
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the source folder can be read") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Module of a file, and its text without comments and without its unit tests.
fn modules() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut modules = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).expect("below the root");
        let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        if first == "lib.rs" || first == "bin" {
            continue;
        }
        if is_test(&root, inside) || inside.to_string_lossy().ends_with("_tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("source files are UTF-8");
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code: String =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        modules.push((first.trim_end_matches(".rs").to_owned(), inside.to_owned(), code));
    }
    assert!(modules.len() > 50, "the walk found only {} files", modules.len());
    modules
}

/// Whether a file is compiled for tests alone: `#[cfg(test)] mod NAME;` in the module above it or its folder.
fn is_test(root: &Path, inside: &Path) -> bool {
    let mut path = inside.to_owned();
    loop {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
            return false;
        };
        let declared = format!("#[cfg(test)]\nmod {name};");
        let above = [root.join(parent).join("mod.rs"), root.join(parent).with_extension("rs")];
        if above.iter().any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains(&declared))) {
            return true;
        }
        path = parent.to_owned();
    }
}

/// First segments of everything that a text takes from `crate::`, grouped imports included.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = if let Some(group) = rest.strip_prefix('{') {
            group.split('}').next().unwrap_or_default().split(',').map(str::trim).collect()
        } else {
            vec![rest]
        };
        for name in names {
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
            if end > 0 {
                found.push(name[..end].to_owned());
            }
        }
    }
    found
}

#[test]
fn imports_point_down_or_sideways() {
    let mut wrong = Vec::new();
    for (module, file, code) in modules() {
        let own = layer(&module)
            .unwrap_or_else(|| panic!("{module} has no layer: add it to docs/architecture.md and here"));
        for import in imports(&code) {
            if let Some(other) = layer(&import)
                && other > own
            {
                wrong.push(format!("{}: layer {own} imports `{import}` of layer {other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "upward imports:\n{}", wrong.join("\n"));
}

#[test]
fn the_pure_core_touches_nothing_outside() {
    let mut wrong = Vec::new();
    for (module, file, code) in modules() {
        if layer(&module) > Some(1) {
            continue;
        }
        for name in OUTSIDE {
            if code.contains(name) {
                wrong.push(format!("{}: names `{name}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "the pure core reaches outside:\n{}", wrong.join("\n"));
}

#[test]
fn a_grouped_import_is_seen() {
    assert_eq!(
        imports("use crate::{exec, cli::run};\nlet x = crate::store::open();"),
        ["exec", "cli", "store"]
    );
}

#[test]
fn no_async_runtime_is_in_the_lock_file() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let text = fs::read_to_string(lock).expect("the lock file is part of the project");
    for runtime in ["tokio", "async-std", "smol"] {
        assert!(!text.contains(&format!("name = \"{runtime}\"")), "{runtime} entered the dependency tree");
    }
}
