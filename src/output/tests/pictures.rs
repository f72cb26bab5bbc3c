//! Not a check: writes pages to look at. `PICTURES=DIR cargo test --lib output::tests::pictures -- --ignored`.

use std::path::PathBuf;

use crate::output::tests::fixture::{Labelled, boilerplate, rated, shipped, write};
use crate::output::{By, Format, TableOptions, WriterOptions};
use crate::text::Document;

#[test]
#[ignore = "writes pages to look at into the folder PICTURES"]
fn pictures() {
    let Some(folder) = std::env::var_os("PICTURES").map(PathBuf::from) else { return };
    let options = |format, by| WriterOptions { by, ..WriterOptions::new(format, shipped()) };
    let documents = documents();
    std::fs::create_dir_all(&folder).unwrap();
    for (name, by, documents) in [
        ("german.html", By::Paragraph, &documents[..1]),
        ("arabic.html", By::Paragraph, &documents[1..2]),
        ("chinese.html", By::Paragraph, &documents[2..3]),
        ("several.html", By::Paragraph, &documents[..]),
        ("documents.html", By::Document, &documents[..]),
    ] {
        std::fs::write(folder.join(name), write(options(Format::Html, by), documents)).unwrap();
    }
    for (width, full_text) in [(40, false), (80, false), (80, true), (140, false)] {
        for by in [By::Paragraph, By::Document] {
            let table = TableOptions { width, colour: true, full_text };
            let name = format!("table-{width}-{full_text}-{by:?}.txt");
            let options = WriterOptions { table, ..options(Format::Table, by) };
            std::fs::write(folder.join(name), write(options, &documents)).unwrap();
        }
    }
}

fn documents() -> Vec<Labelled> {
    let german: &[(&str, Option<f32>, [f32; 3])] = &[
        (
            "Grenzkonflikt: Nach dem Beschuss von Karsk kehren die Unterhändler an den Tisch zurück",
            Some(-0.3),
            [0.71, 0.93, 0.02],
        ),
        ("Von Jana Brandt und Tomasz Wiśniewski", None, [0.0; 3]),
        (
            "Wir benötigen Ihre Zustimmung, um diesen Inhalt zu laden. Mit dem Klick auf „Akzeptieren“ stimmen Sie der Verarbeitung Ihrer Daten zu.",
            None,
            [0.0; 3],
        ),
        (
            "Raketen haben in der Nacht zum Dienstag das Umspannwerk von Karsk getroffen. Nach Angaben der Militärverwaltung starben mindestens elf Menschen, vierzig wurden verletzt. Die Angriffe dauerten bis in die frühen Morgenstunden an; Feuerwehrleute sprachen von den schwersten Bränden seit Beginn des Krieges.",
            Some(1.92),
            [0.99, 0.03, 0.01],
        ),
        (
            "Der Generalstab kündigte an, die Luftabwehr entlang der Küste zu verstärken und zwei weitere Brigaden in die Grenzregion zu verlegen.",
            Some(1.12),
            [0.98, 0.05, 0.01],
        ),
        (
            "Das Außenministerium bestellte den Botschafter ein und sprach von einer „Eskalation ohne Beispiel“. Man behalte sich alle Antworten vor, sagte eine Sprecherin am Vormittag vor der Presse.",
            Some(0.96),
            [0.31, 0.97, 0.04],
        ),
        (
            "Die Europäische Union will ihre Ausfuhrkontrollen für Maschinenteile verschärfen. Ein Entwurf, der dieser Zeitung vorliegt, nennt 34 weitere Firmen.",
            Some(0.88),
            [0.02, 0.36, 0.98],
        ),
        ("Lesen Sie auch: Was über die Gespräche bisher bekannt ist", None, [0.0; 3]),
        (
            "Am frühen Nachmittag kam dann die Nachricht, mit der kaum jemand gerechnet hatte: Beide Seiten sind bereit, die Gespräche in Genf wieder aufzunehmen. Die Vermittler hatten seit Wochen zwischen den Hauptstädten verhandelt, ohne dass davon etwas nach außen gedrungen wäre. „Wir haben eine Tür gefunden, und sie ist offen“, sagte der Sondergesandte.",
            Some(-1.05),
            [0.12, 0.99, 0.01],
        ),
        (
            "Vereinbart wurde außerdem ein Korridor, durch den Verwundete und Kinder die Stadt verlassen können.",
            Some(-1.2),
            [0.64, 0.41, 0.01],
        ),
        (
            "Karsk liegt am Unterlauf der Welna und hatte vor dem Krieg rund 180 000 Einwohner.",
            Some(0.05),
            [0.08, 0.02, 0.01],
        ),
        (
            "Unterzeichnet werden soll noch in dieser Woche eine Waffenruhe für den gesamten Frontabschnitt. Gefangene würden ausgetauscht, die schweren Waffen bis hinter die Linie von 1994 zurückgezogen, heißt es in dem Papier.",
            Some(-1.74),
            [0.94, 0.95, 0.02],
        ),
        (
            "An den Märkten reagierten die Kurse kaum. Der Weizenpreis gab um ein Prozent nach.",
            Some(-0.02),
            [0.01, 0.02, 0.06],
        ),
        ("Teilen  Twittern  E-Mail  Drucken", None, [0.0; 3]),
        (
            "Skeptisch äußerte sich die Opposition. Eine Waffenruhe, die dem Angreifer Zeit verschaffe, sei keine, sagte ihre Vorsitzende und verlangte mehr Munition für die Verteidiger.",
            Some(0.71),
            [0.83, 0.44, 0.03],
        ),
        ("© 2026 Nachrichtenagentur Ost. Alle Rechte vorbehalten.", None, [0.0; 3]),
    ];
    let arabic: &[(&str, Option<f32>, [f32; 3])] = &[
        ("القوات تعبر النهر بعد ليلة من القصف المتواصل", Some(1.8), [0.98, 0.1, 0.01]),
        (
            "قال متحدث باسم الجيش إن القوات عبرت النهر فجر اليوم الثلاثاء وسيطرت على ثلاث قرى في الضفة الشرقية، بينما أفاد سكان بأن القصف المدفعي استمر حتى الصباح.",
            Some(1.86),
            [0.99, 0.04, 0.01],
        ),
        ("شارك هذا الخبر على فيسبوك", None, [0.0; 3]),
        (
            "ودعت الأمم المتحدة إلى وقف فوري لإطلاق النار، وعرضت استضافة محادثات بين الطرفين في جنيف (Geneva) قبل نهاية الأسبوع.",
            Some(-1.0),
            [0.55, 0.98, 0.02],
        ),
        ("ومن المقرر أن يجتمع مجلس الأمن يوم الخميس.", Some(0.0), [0.1, 0.88, 0.02]),
    ];
    let chinese: &[(&str, Option<f32>, [f32; 3])] = &[
        ("双方签署停火协议，边境口岸将于周一重新开放", Some(-1.8), [0.8, 0.95, 0.1]),
        (
            "据外交部发言人介绍，经过三轮谈判，两国代表团于星期五晚间在日内瓦签署了停火协议。协议规定，自午夜起全线停火，重型武器撤至一九九四年分界线以外，并在十日内交换全部战俘。",
            Some(-1.9),
            [0.9, 0.97, 0.02],
        ),
        ("责任编辑：王小明", None, [0.0; 3]),
        (
            "分析人士指出，协议能否得到遵守仍有疑问。过去两年中，双方曾四次宣布停火，又四次相互指责对方违约。",
            Some(0.35),
            [0.62, 0.58, 0.01],
        ),
        ("与此同时，针对该国银行的制裁措施仍然有效。", Some(0.4), [0.02, 0.2, 0.93]),
    ];
    let labelled = |id: &str, rows: &[(&str, Option<f32>, [f32; 3])]| {
        let text: Vec<&str> = rows.iter().map(|row| row.0).collect();
        let predictions = rows.iter().map(|row| row.1.map_or_else(boilerplate, |value| rated(value, row.2)));
        (Document::from_text(id, text.join("\n\n")), predictions.collect())
    };
    let mut fields = serde_json::Map::new();
    fields.insert("author".into(), "Jana Brandt".into());
    fields.insert("words".into(), 1200.into());
    let chinese = labelled("示例/停火.txt", chinese);
    vec![
        labelled("examples/grenzkonflikt-karsk.html", german),
        labelled("examples/النهر.txt", arabic),
        (chinese.0.with_fields(fields), chinese.1),
    ]
}
