//! The snapshot: one row for each gold item, labels only, so that a label that changes shows in a diff.
//!
//! In: gold and one system's predictions. Out: CSV in the order of the gold, in the form that gold tables have.

use std::io::{self, Write};

use crate::eval::gold::GoldItem;
use crate::eval::predicted::Predicted;
use crate::eval::record::Labels;
use crate::label::Scheme;

/// Writes `id`, `lang`, the gold labels and the predicted ones. Topics are joined by `;`, `null` where not known; other labels
/// are empty where not known.
///
/// # Errors
/// If `out` cannot be written.
///
/// # Panics
/// If there is not one prediction for each gold item.
pub fn write_items(scheme: &Scheme, gold: &[GoldItem], predicted: &[Predicted], out: impl Write) -> io::Result<()> {
    assert_eq!(predicted.len(), gold.len(), "one prediction for each gold item");
    let mut writer = csv::Writer::from_writer(out);
    let names = |prefix: &str| columns(scheme).into_iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>();
    let header = ["id", "lang"].map(str::to_owned).into_iter().chain(names("gold_")).chain(names(""));
    writer.write_record(header)?;
    for (item, predicted) in gold.iter().zip(predicted) {
        let lang = item.lang.clone().unwrap_or_default();
        let row = [item.id.clone(), lang].into_iter().chain(cells(scheme, &item.labels));
        writer.write_record(row.chain(cells(scheme, &predicted.labels)))?;
    }
    writer.flush()
}

/// The label fields of the scheme.
fn columns(scheme: &Scheme) -> Vec<&str> {
    let topics = (!scheme.topics.is_empty()).then_some("topics");
    let scale = scheme.scale.as_ref().map(|scale| scale.name.as_str());
    topics.into_iter().chain(scale).chain(scheme.boilerplate.then_some("boilerplate")).collect()
}

fn cells(scheme: &Scheme, labels: &Labels) -> Vec<String> {
    let mut cells = Vec::new();
    if !scheme.topics.is_empty() {
        let names = |applies: &Vec<bool>| {
            let named = scheme.topics.iter().zip(applies).filter(|(_, applies)| **applies);
            named.map(|(topic, _)| topic.name.as_str()).collect::<Vec<_>>().join(";")
        };
        cells.push(labels.topics.as_ref().map_or_else(|| "null".into(), names));
    }
    if let Some(scale) = &scheme.scale {
        cells.push(labels.level.map_or_else(String::new, |level| scale.levels[level].code.to_string()));
    }
    if scheme.boilerplate {
        cells.push(labels.boilerplate.map_or_else(String::new, |boilerplate| boilerplate.to_string()));
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::gold::read_gold;
    use crate::eval::tests::scheme;

    #[test]
    fn a_row_for_each_item() {
        let gold = b"{\"id\": \"x\", \"lang\": \"de\", \"text\": \"t\", \"topics\": [\"a\", \"b\"], \"stance\": -1}\n\
            {\"id\": \"y, z\", \"text\": \"t\", \"boilerplate\": true}\n";
        let gold = read_gold("gold.jsonl", gold.as_slice(), &scheme()).unwrap();
        let labels = Labels { topics: Some(vec![false, false]), level: Some(2), boilerplate: Some(false) };
        let predicted = vec![Predicted::from_labels(labels); 2];
        let mut out = Vec::new();
        write_items(&scheme(), &gold, &predicted, &mut out).unwrap();
        let expected = "id,lang,gold_topics,gold_stance,gold_boilerplate,topics,stance,boilerplate\n\
            x,de,a;b,-1,,,1,false\n\"y, z\",,null,,true,,1,false\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
