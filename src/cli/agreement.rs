//! `detente agreement`: two coders with one another, and systems with each of them.

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use detente::eval::{Style, agreement as agree};

use crate::cli::eval::{Loaded, ReportFormat, Reporting, Systems};
use crate::cli::exit::Exit;
use crate::cli::pool;

/// After the help of `agreement`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  detente agreement --gold eval/sets/authored-test.jsonl --by lang
  detente agreement --gold eval/sets/authored-test.jsonl --embedded

Items without a second coder (the field `second`) are passed over. Without --embedded, --model or --predictions only the
two coders are compared.";

/// Flags of `agreement`.
#[derive(Debug, Args)]
#[command(mut_arg("format", |format| format.value_parser(forms())))]
pub(crate) struct Agreement {
    /// What to compare.
    #[command(flatten)]
    pub(crate) systems: Systems,
    /// How to report.
    #[command(flatten)]
    pub(crate) reporting: Reporting,
}

/// Forms of a report save the page for a browser, which only `eval` has.
fn forms() -> impl TypedValueParser<Value = ReportFormat> {
    let forms = ReportFormat::value_variants().iter().filter(|form| **form != ReportFormat::Html);
    PossibleValuesParser::new(forms.filter_map(ValueEnum::to_possible_value))
        .try_map(|name| ReportFormat::from_str(&name, false))
}

/// Runs the verb.
///
/// # Errors
/// If an input cannot be used, no item has a second coder, or the report cannot be written.
pub(crate) fn agreement(args: &Agreement) -> anyhow::Result<Exit> {
    args.reporting.check(None, args.systems.files())?;
    let loaded = Loaded::open(&args.systems, &[], false, &args.reporting)?;
    loaded.check_names()?;
    if loaded.gold.iter().all(|item| item.second.is_none()) {
        bail!(
            "no gold item has a second coder: the field `second` holds the labels of one who did not see the first's"
        );
    }
    let options = args.reporting.options(&args.systems.gold);
    let report =
        pool::install(args.reporting.threads, || agree(&loaded.scheme, &loaded.gold, &loaded.systems, &options))?;
    let text = match args.reporting.format {
        ReportFormat::Text => report.render(Style::Text),
        ReportFormat::Markdown | ReportFormat::Html => report.render(Style::Markdown),
        ReportFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    args.reporting.write(&text)?;
    Ok(Exit::Done)
}
