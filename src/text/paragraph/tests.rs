//! The rule on texts of every kind, and its guarantees on nasty strings.

use unicode_width::UnicodeWidthStr;

use super::*;
use crate::text::Document;
use crate::text::space::{is_space, is_visible};

fn texts(text: &str) -> Vec<String> {
    Document::from_text("", text).paragraphs().map(|paragraph| paragraph.text().to_owned()).collect()
}

/// Paragraphs in the languages that we claim, each with headline (without full stop) and two paragraphs.
const ARTICLES: &[(&str, [&str; 3])] = &[
    (
        "de",
        [
            "Delegationen vertagen Gespräche über Grenzverkehr",
            "Die Delegationen beider Länder haben ihre Gespräche über den Grenzverkehr am Donnerstag ohne Ergebnis vertagt. Ein Sprecher der Regierung sagte, man werde sich in zwei Wochen wieder treffen; bis dahin blieben die Übergänge geschlossen. Auf dem Markt von Altdorf wird das Brot inzwischen knapp.",
            "Die Opposition sprach von einem „Versagen mit Ansage“. Der Abgeordnete Karl Lindner forderte, die Übergänge wenigstens für Kranke zu öffnen. Das Innenministerium wies die Forderung zurück und verwies auf die Sicherheitslage.",
        ],
    ),
    (
        "en",
        [
            "Ceasefire holds for third day",
            "The ceasefire along the river held for a third day on Friday, and both sides reported only a handful of shots. Monitors who drove the length of the front said the roads were open again, though few people used them. A baker in the market said he had sold out by nine.",
            "Talks are to resume next week in a neutral capital. Neither side has said who will lead its delegation, and diplomats warned that the list of open questions had grown longer since the spring.",
        ],
    ),
    (
        "ru",
        [
            "Перемирие держится третий день",
            "Перемирие на реке держится третий день, обе стороны сообщают лишь о единичных выстрелах. Наблюдатели, проехавшие вдоль линии, говорят, что дороги снова открыты, хотя людей на них почти нет. Пекарь на рынке сказал, что распродал всё к девяти утра.",
            "Переговоры должны возобновиться на следующей неделе. Ни одна из сторон не назвала главу своей делегации, и дипломаты предупреждают, что список нерешённых вопросов с весны только вырос.",
        ],
    ),
    (
        "uk",
        [
            "Перемир’я тримається третій день",
            "Перемир’я на річці тримається третій день, обидві сторони повідомляють лише про поодинокі постріли. Спостерігачі, які проїхали вздовж лінії, кажуть, що дороги знову відкриті, хоча людей на них майже немає. Пекар на ринку сказав, що розпродав усе до дев’ятої.",
            "Переговори мають відновитися наступного тижня. Жодна зі сторін не назвала главу своєї делегації, і дипломати попереджають, що перелік відкритих питань із весни лише зріс.",
        ],
    ),
    (
        "fr",
        [
            "Le cessez-le-feu tient pour le troisième jour",
            "Le cessez-le-feu le long du fleuve a tenu vendredi pour le troisième jour, et les deux camps n’ont signalé que quelques tirs. « Les routes sont ouvertes, mais presque personne ne les emprunte », a dit un observateur. Au marché, un boulanger avait tout vendu à neuf heures.",
            "Les pourparlers doivent reprendre la semaine prochaine. Aucune des parties n’a dit qui conduirait sa délégation, et les diplomates préviennent que la liste des questions ouvertes s’est allongée depuis le printemps.",
        ],
    ),
    (
        "ar",
        [
            "الهدنة صامدة لليوم الثالث على التوالي",
            "صمدت الهدنة على طول النهر لليوم الثالث يوم الجمعة ولم يبلغ الطرفان إلا عن طلقات متفرقة. وقال مراقبون ساروا بمحاذاة خط الجبهة إن الطرق مفتوحة من جديد وإن كان عدد من يسلكها قليلا. وقال خباز في السوق إنه باع كل ما لديه قبل التاسعة.",
            "ومن المقرر أن تستأنف المحادثات الأسبوع المقبل في عاصمة محايدة. ولم يعلن أي من الطرفين عمن سيرأس وفده وحذر دبلوماسيون من أن قائمة القضايا العالقة ازدادت طولا منذ الربيع.",
        ],
    ),
    (
        "zh",
        [
            "停火进入第三天",
            "沿河一带的停火周五进入第三天，双方只报告了零星枪声。沿前线行驶的观察员说，道路已经重新开放，不过很少有人使用。市场上的一位面包师说，他九点前就卖光了所有面包。当地学校计划下周一复课，家长们仍在等待正式通知。",
            "谈判将于下周在一个中立国首都恢复。双方都没有说明由谁率领代表团，外交官警告说，自春天以来，悬而未决的问题清单变得更长了。观察人士认为，任何一方都不愿意先作出让步，局势仍然脆弱。",
        ],
    ),
];

/// Fills lines up to `width` columns, as programs do.
fn wrapped(text: &str, width: usize) -> String {
    let has_spaces = text.contains(' ');
    let words: Vec<String> = if has_spaces {
        text.split(' ').map(str::to_owned).collect()
    } else {
        text.chars().map(String::from).collect()
    };
    let gap = usize::from(has_spaces);
    let (mut out, mut column) = (String::new(), 0);
    for word in words {
        if column > 0 && column + gap + word.width() > width {
            out.push('\n');
            column = 0;
        } else if column > 0 && has_spaces {
            out.push(' ');
            column += 1;
        }
        out.push_str(&word);
        column += word.width();
    }
    out
}

#[test]
fn articles_of_every_layout_give_their_paragraphs() {
    for (language, article) in ARTICLES {
        let expected: Vec<String> = article.iter().map(|text| text.to_string()).collect();
        assert_eq!(texts(&article.join("\n\n")), expected, "{language}, blank lines");
        assert_eq!(texts(&article.join("\n")), expected, "{language}, one paragraph a line");
        assert_eq!(texts(&article.join("\r\n")), expected, "{language}, one paragraph a line, CRLF");
        assert_eq!(texts(&article.join("\u{2028}")), expected, "{language}, one paragraph a line, U+2028");
        for width in [44, 60, 66, 72, 78, 80, 100, 120] {
            let lines = article.map(|text| wrapped(text, width));
            assert_eq!(texts(&lines.join("\n\n")), lines, "{language}, wrapped at {width}");
            let text = lines.join("\n\n").replace('\n', "\r\n");
            let expected: Vec<String> = lines.iter().map(|text| text.replace('\n', "\r\n")).collect();
            assert_eq!(texts(&text), expected, "{language}, wrapped at {width}, CRLF");
            if width > 80 {
                // A few lines: too few to tell that one block of a mixed text is wrapped.
                continue;
            }
            let mixed = [article[0], &lines[1], article[2]];
            assert_eq!(texts(&mixed.join("\n\n")), mixed, "{language}, mixed, wrapped at {width}");
        }
    }
}

#[test]
fn a_short_last_line_ends_a_paragraph_of_wrapped_text() {
    for (language, article) in ARTICLES {
        for width in [60, 72, 80] {
            let lines = [wrapped(article[1], width), wrapped(article[2], width)];
            let last = lines[0].lines().last().map_or(0, UnicodeWidthStr::width);
            let first_word = article[2].split(' ').next().map_or(2, |word| word.width().min(12));
            if last + first_word + 3 > width * SHORT_SHARE / 100 {
                continue;
            }
            assert_eq!(texts(&lines.join("\n")), lines, "{language}, {width}");
        }
    }
}

#[test]
fn what_is_marked_stands_alone() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("heading", "# Lage\nAlle Übergänge bleiben geschlossen.", &["# Lage", "Alle Übergänge bleiben geschlossen."]),
        (
            "hashtag",
            "#Waffenruhe hält nach Angaben weiter an,\nauch am dritten Tag.",
            &["#Waffenruhe hält nach Angaben weiter an,\nauch am dritten Tag."],
        ),
        ("setext", "Die Lage\n========\nAlles ruhig.", &["Die Lage\n========", "Alles ruhig."]),
        (
            "setext in wrapped text",
            "Der Sprecher sagte am Abend, es gebe\nnoch keine Einigung.\nDie Lage\n---\nAn der Grenze ist es ruhig, auch wenn\nnoch geschossen wird.",
            &[
                "Der Sprecher sagte am Abend, es gebe\nnoch keine Einigung.",
                "Die Lage\n---",
                "An der Grenze ist es ruhig, auch wenn\nnoch geschossen wird.",
            ],
        ),
        ("rule", "Ein Satz.\n\n* * *\n\nNoch einer.", &["Ein Satz.", "* * *", "Noch einer."]),
        ("rule under a sentence", "Ein Satz.\n-----\nNoch einer.", &["Ein Satz.", "-----", "Noch einer."]),
        ("bullets", "- eins\n- zwei\n* drei\n• vier", &["- eins", "- zwei", "* drei", "• vier"]),
        (
            "hanging lines",
            "- ein langer Punkt,\n  der weitergeht\n  und noch weiter\n- zwei",
            &["- ein langer Punkt,\n  der weitergeht\n  und noch weiter", "- zwei"],
        ),
        (
            "numbers",
            "1. Abzug\n2. Austausch der\n   Gefangenen\n10. Hilfe",
            &["1. Abzug", "2. Austausch der\n   Gefangenen", "10. Hilfe"],
        ),
        (
            "list after a colon",
            "Die Forderungen lauten nach Angaben der Delegation, die am Abend abreiste:\n- Abzug\n- Austausch",
            &["Die Forderungen lauten nach Angaben der Delegation, die am Abend abreiste:", "- Abzug", "- Austausch"],
        ),
        (
            "a date is no list item",
            "Die Verhandlungen begannen nach Angaben der Botschaft am\n24. Februar und dauerten bis in den Abend,\nohne dass eine Einigung erzielt wurde.",
            &[
                "Die Verhandlungen begannen nach Angaben der Botschaft am\n24. Februar und dauerten bis in den Abend,\nohne dass eine Einigung erzielt wurde.",
            ],
        ),
        (
            "a dash is no list item",
            "The delegation left the building late in the evening\n- without a statement - and flew home, where it was met by\na crowd.",
            &[
                "The delegation left the building late in the evening\n- without a statement - and flew home, where it was met by\na crowd.",
            ],
        ),
        (
            "caption in wrapped text",
            "Die Delegationen verließen am späten Abend das Gebäude, ohne\nsich zu äußern, und reisten ab. In der Stadt blieb es ruhig.\nFoto: Agentur\nAm Morgen öffneten die Märkte wieder, und die Menschen\nstanden für Brot an.",
            &[
                "Die Delegationen verließen am späten Abend das Gebäude, ohne\nsich zu äußern, und reisten ab. In der Stadt blieb es ruhig.",
                "Foto: Agentur",
                "Am Morgen öffneten die Märkte wieder, und die Menschen\nstanden für Brot an.",
            ],
        ),
        (
            "quoted mail",
            "> We hold the bridge and the line until the\n> relief arrives.\nHe did not answer.",
            &["> We hold the bridge and the line until the\n> relief arrives.", "He did not answer."],
        ),
        (
            "table rows",
            "| Ort | Tote |\n|---|---|\n| Altdorf | 3 |",
            &["| Ort | Tote |", "|---|---|", "| Altdorf | 3 |"],
        ),
        (
            "indented beginnings",
            "  Am Morgen öffneten die Märkte wieder, und die\nMenschen standen für Brot an, wie jeden Tag seit.\n  Am Abend war die Brücke wieder gesperrt, weil\ndort geschossen wurde.",
            &[
                "Am Morgen öffneten die Märkte wieder, und die\nMenschen standen für Brot an, wie jeden Tag seit.",
                "Am Abend war die Brücke wieder gesperrt, weil\ndort geschossen wurde.",
            ],
        ),
        (
            "credit in lower case",
            "Die Delegation reiste ab, ohne sich zu äußern. In der Hauptstadt wurde sie von Anhängern empfangen.\nEin Termin für neue Gespräche steht nicht fest.\nkle/qu (dpa, rtr)",
            &[
                "Die Delegation reiste ab, ohne sich zu äußern. In der Hauptstadt wurde sie von Anhängern empfangen.",
                "Ein Termin für neue Gespräche steht nicht fest.",
                "kle/qu (dpa, rtr)",
            ],
        ),
        (
            "headline and text in one block",
            "在中立国首都举行的停火谈判破裂了又恢复\n双方代表团周五离开大楼时没有发表声明，观察员说道路仍然开放，不过很少有人使用。",
            &[
                "在中立国首都举行的停火谈判破裂了又恢复",
                "双方代表团周五离开大楼时没有发表声明，观察员说道路仍然开放，不过很少有人使用。",
            ],
        ),
    ];
    for (case, text, expected) in cases {
        assert_eq!(texts(text), *expected, "{case}");
    }
}

#[test]
fn what_is_blank_separates_and_is_no_paragraph() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        (" \n\t\r\n\u{a0}\u{3000}", &[]),
        ("\u{200b}\u{feff}\u{ad}\u{200d}\0", &[]),
        ("\u{feff}A\n\u{200b}\nB\u{200b}", &["A", "B"]),
        ("A\n\u{3000}\nB", &["A", "B"]),
        ("A\rB\r\rC", &["A", "B", "C"]),
        ("A\u{2029}B\u{c}C", &["A", "B", "C"]),
        ("\u{3000}\u{3000}甲。\n\u{3000}\u{3000}乙。", &["甲。", "乙。"]),
        ("\u{a0}A\u{a0}", &["A"]),
        ("\u{202b}שלום\u{202c}", &["\u{202b}שלום\u{202c}"]),
    ];
    for (text, expected) in cases {
        assert_eq!(texts(text), *expected, "{text:?}");
    }
}

#[test]
fn blocks_of_a_page_are_not_guessed_at() {
    let document = Document::from_html("", "<p>Erste Zeile.<br>Zweite Zeile.<br>- dritte</p><p># kein Titel</p>");
    let found: Vec<&str> = document.paragraphs().map(|paragraph| paragraph.text()).collect();
    assert_eq!(found, ["Erste Zeile.\nZweite Zeile.\n- dritte", "# kein Titel"]);
}

/// A small generator of nasty strings; the same on every machine.
struct Nasty(u64);

impl Nasty {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    fn text(&mut self) -> String {
        const PIECES: &[&str] = &[
            "\n",
            "\n",
            "\n\n",
            "\r\n",
            "\r",
            "\u{2028}",
            "\u{2029}",
            "\u{c}",
            "\u{b}",
            "\u{85}",
            " ",
            "  ",
            "\t",
            "\u{a0}",
            "\u{3000}",
            "\u{200b}",
            "\u{feff}",
            "\u{ad}",
            "\u{200d}",
            "\u{2060}",
            "\u{1f}",
            "\0",
            "a",
            "Ä",
            "я",
            "中",
            "🙂",
            "e\u{301}",
            ".",
            "!",
            "…",
            "。",
            "؟",
            "”",
            "»",
            ",",
            "-",
            "- ",
            "* ",
            "1. ",
            "# ",
            "---",
            "===",
            "> ",
            "| a |",
            "Foto: x",
            "der Satz geht weiter",
            "Ein Satz endet hier.",
            "Die Überschrift",
            "wort",
            "ein sehr langes Stück Text ohne Ende",
            "سلام",
            "停火进入第三天，双方只报告了零星枪声",
            "https://example.org/a/very/long/address/that/nothing/breaks",
        ];
        (0..self.below(60)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }
}

#[test]
fn the_guarantees_hold_on_nasty_strings() {
    let mut nasty = Nasty(7);
    for round in 0..20_000 {
        let text = nasty.text();
        for document in [Document::from_text("", text.clone()), Document::from_html("", &text)] {
            let mut end = 0;
            let mut shown = 0;
            for (index, paragraph) in document.paragraphs().enumerate() {
                let range = paragraph.byte_range();
                let case = || format!("round {round}, paragraph {index} {range:?} of {:?}", document.text());
                assert_eq!(paragraph.index(), index, "{}", case());
                assert_eq!(document.text().get(range.clone()), Some(paragraph.text()), "{}", case());
                assert!(range.start >= end, "{}", case());
                assert!(!document.text()[end..range.start].contains(is_visible), "{}", case());
                assert!(paragraph.text().contains(is_visible), "{}", case());
                assert!(!paragraph.text().starts_with(is_space) && !paragraph.text().ends_with(is_space), "{}", case());
                shown += paragraph.text().chars().filter(|&c| is_visible(c)).count();
                end = range.end;
            }
            assert!(!document.text()[end..].contains(is_visible), "round {round}: {:?}", document.text());
            assert_eq!(shown, document.text().chars().filter(|&c| is_visible(c)).count(), "round {round}");
            let once: Vec<_> = document.paragraphs().map(|paragraph| paragraph.byte_range()).collect();
            let again: Vec<_> = document.paragraphs().map(|paragraph| paragraph.byte_range()).collect();
            assert_eq!(once, again, "round {round}");
        }
    }
}

#[test]
fn white_space_around_the_text_changes_nothing() {
    let mut nasty = Nasty(11);
    for round in 0..2_000 {
        let text = nasty.text();
        let expected = texts(&text);
        assert_eq!(texts(&format!("\n\u{feff}\n{text}\n \n")), expected, "round {round}: {text:?}");
    }
}

#[test]
fn huge_texts_take_time_in_proportion() {
    // Quadratic work would take hours here.
    let line = "wort ".repeat(2_000_000);
    assert_eq!(Document::from_text("", line).paragraphs().count(), 1);
    let lines = "Ein Satz.\n".repeat(500_000);
    assert_eq!(Document::from_text("", lines).paragraphs().count(), 500_000);
    let wrapped = "Der Satz geht weiter und\nweiter ".repeat(300_000);
    assert_eq!(Document::from_text("", wrapped).paragraphs().count(), 1);
    let blank = "\n\u{200b} ".repeat(1_000_000);
    assert_eq!(Document::from_text("", blank).paragraphs().count(), 0);
}
