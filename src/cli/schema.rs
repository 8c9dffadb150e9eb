//! `mozart schema`: the JSON Schemas of the documents, for editors.

use clap::{Args, ValueEnum};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure};
use crate::schema::{self, Document};

/// Options of `schema`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which documents
    #[arg(value_enum, default_value_t = Which::Score, value_name = "DOCUMENT")]
    document: Which,
    /// Print the reference page of scores instead of a schema
    #[arg(long)]
    markdown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// A score
    Score,
    /// The conductor's configuration file
    Config,
    /// An instrument profile
    Instrument,
    /// A fleet file
    Fleet,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let document = match options.document {
        Which::Score => Document::Score,
        Which::Config => Document::Config,
        Which::Instrument => Document::Instrument,
        Which::Fleet => Document::Fleet,
    };
    if options.markdown {
        if document != Document::Score {
            return Err(Failure::usage(format!("there is no page to print for {}", document.word()))
                .hint("The pages are docs/configuration.md, docs/instruments.md and docs/fleets.md")
                .into());
        }
        cx.out.text(&schema::score_reference())?;
        return Ok(0);
    }
    let value = document.json_schema();
    // Meant for files: readable unless a program asked for one line.
    cx.out.line(&if cx.out.json { value.to_string() } else { format!("{value:#}") })?;
    Ok(0)
}
