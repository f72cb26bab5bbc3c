//! The page, read by an HTML parser: what must be there, and that no input becomes markup.

use std::sync::Arc;

use dom_query::Document as Page;
use serde_json::{Map, json};

use crate::label::Scheme;
use crate::output::tests::fixture::{
    Labelled, boilerplate, prediction, rated, scale_alone, shipped, topics_alone, write, written,
};
use crate::output::{By, Format, HtmlOptions, WriterOptions};
use crate::text::Document;

/// Markup that an escape that was forgotten would let through.
const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\" ' & </style></title>";

#[test]
fn a_paragraph_has_its_text_its_labels_and_its_bar() {
    let page = page(By::Paragraph, &[labelled("one.txt"), labelled("two.txt")]);
    for (document, paragraphs) in [(0, 3), (1, 3)] {
        for paragraph in 0..paragraphs {
            let anchor = format!("d{document}p{paragraph}");
            assert_eq!(page.select(&format!("section#{anchor} p.text")).length(), 1, "{anchor}");
            let bar = page.select(&format!("svg a[href='#{anchor}']"));
            assert_eq!(bar.length(), 1, "{anchor}");
            assert!(bar.attr("aria-label").unwrap().starts_with(&format!("#{paragraph} ")), "{anchor}");
        }
    }
    assert_eq!(page.select("section[data-id='two.txt#1']").length(), 1);
    assert_eq!(page.select("#d0p0 p.text").text().as_ref(), "Truppen überschritten die Grenze.");
    assert_eq!(page.select("#d0p0 p.text").attr("dir").unwrap().as_ref(), "auto");
    assert_eq!(page.select("#d0p0 .chip").text().as_ref(), "military");
    assert_eq!(page.select("#d0p0 .probabilities .row").length(), 3 + 5 + 1);
    assert_eq!(page.select("section.boilerplate").length(), 2);
    assert_eq!(page.select("figure.strip rect.gap").length(), 2);
    assert_eq!(page.select("figure.strip svg > title").length(), 2);
    assert_eq!(page.select("#overview tbody tr").length(), 2);
    assert_eq!(page.select("#overview a[href='#d1']").text().as_ref(), "two.txt");
}

#[test]
fn by_document_there_is_the_overview_alone() {
    let page = page(By::Document, &[labelled("one.txt"), labelled("two.txt")]);
    assert_eq!(page.select("main table.overview tbody tr").length(), 2);
    assert_eq!(page.select("svg.small").length(), 2);
    assert_eq!(page.select("section, nav, .overview a").length(), 0);
}

#[test]
fn every_link_has_its_target_and_every_id_is_unique() {
    let page =
        page(By::Paragraph, &[labelled("one.txt"), labelled("two.txt"), (Document::from_text("no", ""), vec![])]);
    let ids: Vec<String> = page.select("[id]").iter().map(|node| node.attr("id").unwrap().to_string()).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
    for link in page.select("a[href]").iter() {
        let target = link.attr("href").unwrap().to_string();
        assert!(ids.contains(&target.trim_start_matches('#').to_owned()), "{target}");
    }
}

#[test]
fn no_input_becomes_markup() {
    let mut scheme = Scheme::clone(&shipped());
    scheme.topics[0].name = HOSTILE.into();
    scheme.topics[0].description = HOSTILE.into();
    let scale = scheme.scale.as_mut().unwrap();
    scale.name = HOSTILE.into();
    scale.levels[4].name = HOSTILE.into();
    let scheme = Arc::new(scheme);
    let mut fields = Map::new();
    fields.insert(HOSTILE.into(), json!(HOSTILE));
    let document = Document::from_text(HOSTILE, format!("{HOSTILE}\u{0}\u{1b}")).with_fields(fields);
    let levels = [0.0, 0.0, 0.0, 0.1, 0.9];
    let documents = || {
        let predictions = vec![prediction(&scheme, &[0.9, 0.1, 0.1], &levels, Some(0.1))];
        vec![(document.clone(), predictions.clone()), (document.clone(), predictions)]
    };
    for by in [By::Paragraph, By::Document] {
        let mut options = WriterOptions { by, ..WriterOptions::new(Format::Html, Arc::clone(&scheme)) };
        options.html = HtmlOptions { title: Some(HOSTILE.into()) };
        let text = written(options, &documents());
        assert!(!text.contains("<script") && !text.contains("<img") && !text.contains(['\0', '\u{1b}']), "{by:?}");
        let page = Page::from(text);
        assert_eq!(page.select("script, img, [onerror]").length(), 0, "{by:?}");
        assert_eq!(page.select("title").first().text().as_ref(), HOSTILE, "{by:?}");
        if by == By::Paragraph {
            assert_eq!(page.select("#d0p0 p.text").text().as_ref(), format!("{HOSTILE}\u{fffd}\u{fffd}"));
            assert_eq!(page.select("#d0 h2").text().as_ref(), HOSTILE);
        }
    }
}

#[test]
fn nothing_is_fetched() {
    let text = written(options(By::Paragraph, shipped()), &[labelled("one.txt")]);
    for forbidden in ["http://", "https://", "src=", "<script", "@import", "<link", "javascript:"] {
        assert!(!text.contains(forbidden), "{forbidden}");
    }
    let addresses = text.matches("url(").count();
    assert_eq!(addresses, text.matches("url(#hatch)").count());
    let page = Page::from(text);
    let policy = page.select("meta[http-equiv='Content-Security-Policy']").attr("content").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
}

/// The parser repairs what is not well formed; what it makes of the page must therefore be the page.
#[test]
fn the_page_is_well_formed() {
    for by in [By::Paragraph, By::Document] {
        let text = written(options(by, shipped()), &[labelled("one.txt"), labelled("two.txt")]);
        for tag in
            ["a", "article", "dd", "details", "div", "dl", "dt", "li", "line", "p", "rect", "section", "span", "svg"]
        {
            let page = Page::from(text.as_str());
            let opened = text.matches(&format!("<{tag} ")).count() + text.matches(&format!("<{tag}>")).count();
            assert_eq!(page.select(tag).length(), opened, "{tag}");
            assert_eq!(text.matches(&format!("</{tag}>")).count(), opened, "{tag}");
        }
    }
}

#[test]
fn other_schemes_have_a_page_too() {
    let scheme = topics_alone();
    let documents = [(Document::from_text("a", "Regen."), vec![prediction(&scheme, &[0.1, 0.2], &[], None)])];
    let page = Page::from(written(options(By::Paragraph, scheme), &documents));
    assert_eq!(page.select("section.plain").length(), 1);
    assert_eq!(page.select("figure, .legend").length(), 0);
    let scheme = scale_alone();
    let documents = [(Document::from_text("a", "Regen."), vec![prediction(&scheme, &[], &[0.1, 0.2, 0.7], None)])];
    let page = Page::from(written(options(By::Paragraph, scheme), &documents));
    assert_eq!(page.select("figure.strip rect.bar").length(), 1);
    assert_eq!(page.select("section.e3").length(), 1);
}

#[test]
fn a_long_document_has_a_short_overview() {
    let text = vec!["Ein Satz."; 1000].join("\n\n");
    let predictions = (0..1000).map(|index| rated((index % 5) as f32 - 2.0, [0.9, 0.1, 0.1])).collect();
    let page = page(By::Document, &[(Document::from_text("long", text), predictions)]);
    assert_eq!(page.select("svg.small rect").length(), 48);
}

fn page(by: By, documents: &[Labelled]) -> Page {
    Page::from(String::from_utf8(write(options(by, shipped()), documents)).unwrap())
}

fn options(by: By, scheme: Arc<Scheme>) -> WriterOptions {
    WriterOptions { by, ..WriterOptions::new(Format::Html, scheme) }
}

fn labelled(id: &str) -> Labelled {
    let text = "Truppen überschritten die Grenze.\n\nTeilen, drucken, weiter\n\nDie Gespräche gehen weiter.";
    let predictions = vec![rated(1.9, [0.99, 0.02, 0.01]), boilerplate(), rated(-0.8, [0.01, 0.9, 0.01])];
    (Document::from_text(id, text), predictions)
}
