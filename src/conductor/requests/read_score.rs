//! Files that a submission names: the score, what it refers to, instrument profiles.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::instrument::Registry;
use crate::score::{self, Source};

/// Longest score file that is read.
pub(crate) const SCORE_LIMIT: u64 = 8 << 20;

/// Reads a score and the files that loading it needs. Files that cannot be read are left out;
/// loading then says where the score names them.
pub(crate) fn read_source(path: &Path) -> io::Result<Source> {
    let text = read_limited(path)?;
    let base = path.parent().unwrap_or(Path::new("/")).to_owned();
    let files = score::referenced_files(&text, &base)
        .into_iter()
        .filter_map(|file| read_limited(&file).ok().map(|text| (file, text)))
        .collect::<BTreeMap<_, _>>();
    Ok(Source { path: Some(path.to_owned()), text, files, base })
}

fn read_limited(path: &Path) -> io::Result<String> {
    let bytes = crate::file::read(path, SCORE_LIMIT + 1)?;
    if bytes.len() as u64 > SCORE_LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "is larger than 8 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is not UTF-8"))
}

/// Instrument profiles: the compiled-in ones, the user's, and a project's. Each request worker has
/// its own; it reads a directory again when one of its files has changed.
#[derive(Debug)]
pub(crate) struct Instruments {
    home: PathBuf,
    loaded: BTreeMap<Option<PathBuf>, Loaded>,
}

#[derive(Debug)]
struct Loaded {
    registry: Arc<Registry>,
    /// The files of the user's and of the project's profile directory as they were.
    stamp: (Vec<FileStamp>, Vec<FileStamp>),
}

/// Name, length and last change of a file.
type FileStamp = (OsString, u64, Option<SystemTime>);

/// Projects whose profiles are kept in memory.
const PROJECTS_KEPT: usize = 16;

impl Instruments {
    /// `home` is the directory that holds `instruments/`.
    pub(crate) fn new(home: PathBuf) -> Self {
        Self { home, loaded: BTreeMap::new() }
    }

    /// Profiles for a score in `directory`.
    pub(crate) fn for_directory(&mut self, directory: &Path) -> Arc<Registry> {
        let project = directory.ancestors().map(|dir| dir.join(".mozart")).find(|dir| dir.is_dir());
        let stamp = (
            stamp(&self.home.join("instruments")),
            project.as_deref().map(|dir| stamp(&dir.join("instruments"))).unwrap_or_default(),
        );
        if let Some(loaded) = self.loaded.get(&project)
            && loaded.stamp == stamp
        {
            return Arc::clone(&loaded.registry);
        }
        let (registry, warnings) = Registry::load(&self.home, project.as_deref());
        for warning in warnings {
            log::warn!(
                "instrument.profile_skipped path={:?} reason={:?}",
                warning.path.display().to_string(),
                warning.message
            );
        }
        if self.loaded.len() >= PROJECTS_KEPT {
            self.loaded.clear();
        }
        let registry = Arc::new(registry);
        self.loaded.insert(project, Loaded { registry: Arc::clone(&registry), stamp });
        registry
    }
}

/// What tells a directory that changed from one that did not. A file that is written in place leaves
/// its directory as it was, so each file is looked at.
fn stamp(directory: &Path) -> Vec<FileStamp> {
    let mut files: Vec<FileStamp> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let meta = fs::metadata(entry.path()).ok()?;
            Some((entry.file_name(), meta.len(), meta.modified().ok()))
        })
        .collect();
    files.sort();
    files
}
