//! What a page shows, on pages as they are found.

use super::*;
use crate::text::html::parse::OPEN_LIMIT;

fn blocks(html: &str) -> Vec<String> {
    extract(html).split("\n\n").filter(|block| !block.is_empty()).map(str::to_owned).collect()
}

/// A German article page with everything that surrounds one.
const PAGE: &str = r##"<!DOCTYPE html>
<html lang="de"><head><meta charset="utf-8"><title>Übergang bei Altdorf bleibt geschlossen | Talbote</title>
<style>p { color: black }</style><script>var text = "<p>kein Text</p>";</script>
<script type="application/ld+json">{"headline": "Übergang"}</script></head>
<body class="article">
<div id="consent"><p>Wir verwenden Cookies, um unser Angebot zu verbessern.</p><button>Alle akzeptieren</button></div>
<header><a href="/"><svg><title>Logo</title></svg>Talbote</a>
<nav><ul><li><a href="/politik">Politik</a></li><li><a href="/sport">Sport</a></li></ul></nav></header>
<main><article>
  <header><p class="kicker">Grenzstreit</p>
  <h1>Übergang bei Altdorf
      bleibt geschlossen</h1>
  <h1>Übergang bei Altdorf bleibt geschlossen</h1>
  <p class="teaser">Die Gespräche sind <em>vertagt</em>. Auf&nbsp;dem Markt wird Brot knapp.</p>
  <p class="byline">Von <a href="/autor">Karla Lindner</a>, Altdorf</p></header>
  <figure><picture><source srcset="a.webp"><img src="a.jpg" alt="nicht sichtbar"></picture>
    <figcaption>Gesperrte Brücke bei Altdorf <span class="credit">Foto: Agentur</span></figcaption></figure>
  <p>Die Delegationen haben ihre Gespräche vertagt.<br>Ein Termin steht nicht fest.</p>
  <h2>Was gefordert wird</h2>
  <ul><li>Öffnung für Kranke</li><li>Austausch der <b>Ge</b>fangenen</li></ul>
  <blockquote><p>Wir warten seit Wochen.</p><footer>Bürgermeisterin Anna Berg</footer></blockquote>
  <blockquote class="twitter-tweet"><p>Dieser Tweet ist nicht mehr verfügbar.</p></blockquote>
  <table><caption>Wartezeiten</caption><tr><th>Übergang</th><th>Stunden</th></tr><tr><td>Altdorf</td><td>9</td></tr></table>
  <div class="paywall" style="display: none">Jetzt abonnieren</div>
  <p hidden>verborgen</p><p style="visibility:hidden">verborgen</p>
  <p>Die Lage sei &bdquo;ernst&ldquo;, sagte sie &amp; schwieg.</p>
  <template><p>Vorlage</p></template><noscript><img src="zaehler"></noscript>
  <!-- <p>Kommentar</p> -->
</article>
<section id="comments"><h3>Kommentare</h3><form><textarea>Ihr Kommentar</textarea><button>Senden</button></form>
<p>Kommentare werden geladen …</p></section></main>
<dialog>Newsletter</dialog>
<footer><p>Impressum</p></footer>
</body></html>"##;

#[test]
fn an_article_page_gives_its_visible_blocks() {
    let expected = [
        "Wir verwenden Cookies, um unser Angebot zu verbessern.",
        "Talbote",
        "Grenzstreit",
        "Übergang bei Altdorf bleibt geschlossen",
        "Die Gespräche sind vertagt. Auf dem Markt wird Brot knapp.",
        "Von Karla Lindner, Altdorf",
        "Gesperrte Brücke bei Altdorf Foto: Agentur",
        "Die Delegationen haben ihre Gespräche vertagt.\nEin Termin steht nicht fest.",
        "Was gefordert wird",
        "Öffnung für Kranke",
        "Austausch der Gefangenen",
        "Wir warten seit Wochen.",
        "Bürgermeisterin Anna Berg",
        "Dieser Tweet ist nicht mehr verfügbar.",
        "Wartezeiten",
        "Übergang Stunden",
        "Altdorf 9",
        "Die Lage sei „ernst“, sagte sie & schwieg.",
        "Kommentare",
        "Kommentare werden geladen …",
    ];
    assert_eq!(blocks(PAGE), expected);
}

#[test]
fn markup_of_every_kind_gives_its_text() {
    let long =
        "Ein langer Text in einer Zelle, die nur dazu da ist, ihn neben die Navigation zu setzen, wie es früher war.";
    let layout = format!("<table><tr><td><a>Start</a></td><td>{long}</td></tr></table>");
    let cases: &[(&str, &str, &[&str])] = &[
        ("nothing", "", &[]),
        ("text alone", "nur Text", &["nur Text"]),
        ("no closing tags", "<p>eins<p>zwei<li>drei", &["eins", "zwei", "drei"]),
        ("unclosed inline", "<b>eins <p>zwei", &["eins", "zwei"]),
        ("line breaks", "eins<br><br>zwei<br/>drei<br>\n<br> vier", &["eins", "zwei\ndrei", "vier"]),
        ("divs", "<div>eins<div>zwei</div>drei</div>", &["eins", "zwei", "drei"]),
        ("inline elements do not separate", "<p>Sach<span>lage</span> <i> gut</i> .</p>", &["Sachlage gut ."]),
        ("preformatted", "<pre>eins\n  zwei\n\ndrei</pre>", &["eins\nzwei", "drei"]),
        ("definitions", "<dl><dt>Ort</dt><dd>Altdorf</dd></dl>", &["Ort", "Altdorf"]),
        ("details", "<details><summary>Mehr</summary>Text</details>", &["Mehr", "Text"]),
        ("quotation", "<p>Er sagte <q>nein</q>.</p>", &["Er sagte “nein”."]),
        ("cells of a layout table", &layout, &["Start", long]),
        ("cells with blocks", "<table><tr><td>a</td><td><p>b</p>c</td></tr></table>", &["a", "b", "c"]),
        ("readings of characters", "<p><ruby>停<rp>(</rp><rt>てい</rt><rp>)</rp></ruby>戦</p>", &["停戦"]),
        (
            "title without a heading",
            "<title>Die Schlagzeile des Tages | Bote</title><p>Text</p>",
            &["Die Schlagzeile des Tages | Bote", "Text"],
        ),
        (
            "title that a block says",
            "<title>Die Schlagzeile des Tages | Bote</title><div>Die Schlagzeile des Tages</div><p>Text</p>",
            &["Die Schlagzeile des Tages", "Text"],
        ),
        (
            "title of which a block says the site alone",
            "<title>Waffenruhe gebrochen über Nacht | Bote des Tales</title><p>Bote des Tales meldet Beschuss.</p>",
            &["Waffenruhe gebrochen über Nacht | Bote des Tales", "Bote des Tales meldet Beschuss."],
        ),
        (
            "elements of XHTML that close themselves",
            "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><script src='a.js' data-x='>'/><SCRIPT/><title/></head><p>a</p><scripture/><p>b <br/> c</p></html>",
            &["a", "b\nc"],
        ),
        ("title and headline", "<title>Anders gesagt als darunter</title><h1>Kopf</h1><p>Text</p>", &["Kopf", "Text"]),
        ("title alone", "<title>Nur ein Titel</title>", &["Nur ein Titel"]),
        ("zero-width only", "<p>\u{200b}</p><p>&nbsp;</p><p>a</p>", &["a"]),
        ("entities", "<p>&lt;b&gt; &euro; &#1103; &#x4e2d; &unknown;</p>", &["<b> € я 中 &unknown;"]),
        ("drop cap", "<p><span aria-hidden=\"true\">D</span>er Morgen</p>", &["Der Morgen"]),
        ("closed menu", "<div aria-hidden=\"true\">Menü</div><p>Text</p>", &["Text"]),
        (
            "consent layer hides the page",
            "<div aria-hidden=\"true\"><main><p>Artikel</p></main></div><dialog open>Cookies</dialog>",
            &["Artikel", "Cookies"],
        ),
        ("page shown by a script", "<body style=\"display:none\"><p>Artikel</p></body>", &["Artikel"]),
        ("all of the page is hidden", "<div style=\"display:none !important\"><p>Artikel</p></div>", &["Artikel"]),
        (
            "footer of an article",
            "<article><p>a</p><footer>Quelle</footer></article><footer>Impressum</footer>",
            &["a", "Quelle"],
        ),
        (
            "form around the page",
            "<form><p>Artikel</p><input value=x><select><option>y</option></select></form>",
            &["Artikel"],
        ),
        (
            "zero-width cell before one of other letters",
            "<table><tr><td>&#8203;</td><td><p></p>ääää</td></tr></table>",
            &["ääää"],
        ),
        ("soft hyphens stay", "<p>Grenz&shy;übergang</p>", &["Grenz\u{ad}übergang"]),
        ("right to left", "<p dir=rtl>صمدت <b>الهدنة</b>.</p>", &["صمدت الهدنة."]),
    ];
    for (case, html, expected) in cases {
        assert_eq!(blocks(html), *expected, "{case}");
    }
}

#[test]
fn deep_nesting_is_no_danger() {
    let html = format!("{}Text{}", "<span>".repeat(50_000), "</span>".repeat(50_000));
    assert_eq!(extract(&html), "Text");
    let html = format!("{}Text", "<div>".repeat(2_000));
    assert_eq!(extract(&html), "Text");
}

/// A page as large sites have them: 50 elements deep, lists, links, tables, formatting that is closed.
fn large_page() -> String {
    let item = "<li><a href=\"/a\" class=\"b\"><span><b>Ort</b></span></a>, <i>Tag</i></li>";
    let row = "<tr><td><b>Altdorf</b></td><td><a href=\"/b\">9</a></td></tr>";
    let text =
        "<p>Die <em>Gespräche</em> sind <a href=\"/c\"><strong>vertagt</strong></a>, sagte <q>sie</q>.<br>Ende</p>";
    let body = format!("<ul>{}</ul><table>{}</table>{}", item.repeat(3000), row.repeat(5000), text.repeat(5000));
    format!("<!DOCTYPE html><title>Seite</title>{}{body}{}", "<div>".repeat(50), "</div>".repeat(50))
}

#[test]
fn large_pages_and_broken_ones_have_the_tree_of_the_standard() {
    let broken = "<b id=1><p><a>x<div></b>y<a><table><i>z<tr><td></i>t</table></font><h1><font color=1>u".repeat(50);
    for page in [PAGE, &large_page(), &broken] {
        let tree = parse(page);
        let standard = dom_query::Document::from(page);
        assert_eq!(tree.tree.len(), standard.tree.len());
        assert_eq!(tree.text(), standard.text());
    }
}

#[test]
fn unclosed_formatting_elements_are_not_opened_again_without_end() {
    let count = 3000;
    let open: String = (0..count).map(|id| format!("<b style='top:{id}'>")).collect();
    let page = format!("<p>{open}{}", "<p>x".repeat(count));
    assert!(parse(&page).tree.len() <= page.len());
    assert_eq!(blocks(&page), vec!["x"; count]);
}

#[test]
fn elements_beyond_the_limit_are_not_nested() {
    let inside = "<script>let a = '<p>kein Text';</script><style>p {}</style><!-- <p> --><p>eins<p>zwei<br>drei";
    let table = "<table><tr><td>vier</td><td>fünf</td></tr></table>";
    let cases = [
        ("blocks", 100_000, "<div>", "", vec!["eins", "zwei\ndrei", "vierfünf"]),
        (
            "blocks with text",
            10_000,
            "<div>x",
            "",
            [vec!["x"; 10_000], vec!["eins", "zwei\ndrei", "vierfünf"]].concat(),
        ),
        ("within a line", 10_000, "<span>", "", vec!["eins", "zwei\ndrei", "vier fünf"]),
        ("formatting", 10_000, "<i role=a>", "", vec!["eins", "zwei\ndrei", "vier fünf"]),
        ("drawings", 10_000, "<svg>", "</svg>", vec!["eins", "zwei\ndrei", "vier fünf"]),
        ("closed again", 10_000, "<div>", "</div>", vec!["eins", "zwei\ndrei", "vier fünf"]),
    ];
    for (case, count, open, close, expected) in cases {
        let page = format!("{}{}{inside}{table}", open.repeat(count), close.repeat(count));
        assert_eq!(blocks(&page), expected, "{case}");
        let tree = parse(&page);
        assert!(tree.tree.len() <= page.len(), "{case}");
        let mut depth = 0;
        let mut node = tree.root().descendants_it().last();
        while let Some(child) = node {
            (node, depth) = (child.parent(), depth + 1);
        }
        assert!(depth <= OPEN_LIMIT + 5, "{case}: {depth}");
    }
}

#[test]
fn a_tag_ends_where_it_has_too_many_attributes() {
    let words = |count: usize| (0..count).map(|word| format!(" a{word}")).collect::<String>();
    let shown = |words: &str| blocks(&format!("<p{words}>Text")).concat();
    assert_eq!(shown(&words(1000)), "Text");
    for attributes in [
        words(100_000),
        words(100_000).replace(' ', "/"),
        words(100_000).replacen(' ', " b", 1).replace(" a", "=\"\"a"),
    ] {
        assert!(shown(&attributes).len() > attributes.len() / 2, "{attributes:.30}");
    }
    let many = words(10_000);
    let address = "a/".repeat(30_000);
    let data = r#"{"a": [1, "b"], "c": "<p title='d'>"}, "#.repeat(3000);
    let indented: String = (0..60).map(|number| format!("\n{:60}data-a{number}=\"v\"", "")).collect();
    let cases = [
        (
            "data before what hides",
            format!("<p data-page=\"{}\" class='x' hidden>verborgen</p>", data.replace('"', "&quot;")),
        ),
        ("data as JSON", format!("<p data-page = '{}' class='x' hidden>verborgen</p>", data.replace('\'', ""))),
        ("data at the end", format!("<p hidden data-page='{}'>verborgen</p>", data.replace('\'', ""))),
        ("data twice", format!("<p data-a=\"{many}\" data-b='{many}' hidden>verborgen</p>")),
        ("a line each", format!("<p{indented} hidden>verborgen</p>")),
        ("space", format!("<p {} hidden>verborgen</p>", " \n".repeat(3000))),
        ("bogus comment", format!("<?php {many} ?>")),
        ("attributes", format!("<p{} hidden>verborgen</p>", words(1500))),
        ("comment", format!("<!--{many} -- {many} -->")),
        ("quoted value", format!("<img alt='{many}'>")),
        ("address", format!("<img src={address}>")),
        ("script", format!("<script>{many} <b {many}</script>")),
        ("value that hides", format!("<p title=\"{many}\" hidden>verborgen</p>")),
    ];
    for (case, markup) in cases {
        assert_eq!(blocks(&format!("<p>eins</p>{markup}<p>zwei</p>")), ["eins", "zwei"], "{case}");
    }
}

#[test]
fn what_is_read_of_attributes_is_short() {
    let long = format!("color:red;{}", "top:0;".repeat(10_000));
    let page = format!("<p><b style='{long}' role='{long}'>{}<p><i style='{long}display : NONE'>z", "<p>x".repeat(3));
    assert_eq!(blocks(&page), ["x"; 3]);
    for node in parse(&page).root().descendants_it() {
        assert!(node.attrs().iter().all(|attribute| attribute.value.len() < 20));
    }
}

#[test]
fn trees_are_bounded_where_a_tag_is_endless_too() {
    let open = "<b role=i>".repeat(120);
    let page = format!("<p>{open}<i {}a>{}", "a/".repeat(32_000), "<p>x".repeat(20_000));
    assert!(parse(&page).tree.len() <= page.len());
    assert!(blocks(&page).ends_with(&vec!["x".to_owned(); 19_999]));
}
