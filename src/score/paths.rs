//! Paths of a score, made absolute without looking at the file system.

use std::path::{Component, Path, PathBuf};

/// A path as written, relative to a directory, without `.` and `..` where the text alone decides.
pub(crate) fn resolve(dir: &Path, text: &str) -> PathBuf {
    normal(&dir.join(text))
}

fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir) => {}
                _ => out.push(".."),
            },
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_disappear() {
        for (text, expected) in
            [("./ws", "/a/b/ws"), ("../x/./y", "/a/x/y"), ("/q", "/q"), ("../../../x", "/x"), ("", "/a/b")]
        {
            assert_eq!(resolve(Path::new("/a/b"), text), Path::new(expected), "{text}");
        }
    }
}
