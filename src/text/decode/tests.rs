//! Every encoding that is claimed, on texts of the languages that use it.

use encoding_rs::{
    GBK, ISO_8859_2, KOI8_U, UTF_8, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1254, WINDOWS_1256,
};

use super::*;

const RUSSIAN: &str = "Переговоры о прекращении огня отложены на неделю. Стороны обвинили друг друга в срыве встречи.";
const UKRAINIAN: &str = "Перемовини про припинення вогню відкладено на тиждень. Її учасники звинуватили одне одного.";
const GERMAN: &str =
    "Die Gespräche über die Rückkehr der Flüchtlinge wurden vertagt, größere Fortschritte blieben aus.";
const FRENCH: &str =
    "Les négociations ont été reportées d’une semaine : « aucun progrès », déplorent les délégués français.";
const POLISH: &str = "Rozmowy o zawieszeniu broni odłożono na przyszły tydzień. Żołnierze wciąż są na pozycjach.";
const CZECH: &str = "Jednání o příměří byla odložena o týden. Vojáci zůstávají na svých místech, řekl mluvčí vlády.";
const TURKISH: &str = "Ateşkes görüşmeleri bir hafta ertelendi. Askerlerin çoğu hâlâ sınırda, dedi hükümet sözcüsü.";
const ARABIC: &str = "تأجلت محادثات وقف إطلاق النار أسبوعا. وتبادل الطرفان الاتهامات بإفشال الاجتماع في العاصمة.";
const CHINESE: &str = "停火谈判推迟一周。双方互相指责对方破坏了会议，边境地区的居民仍在等待消息，学校继续停课。";
const JAPANESE: &str = "停戦交渉は一週間延期された。双方は会合を妨害したとして互いに非難し合っている。";

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn texts_of_every_encoding_are_decoded() {
    let legacy: &[(&str, &str, &'static Encoding)] = &[
        ("Russian", RUSSIAN, WINDOWS_1251),
        ("Russian", RUSSIAN, KOI8_U),
        ("Ukrainian", UKRAINIAN, WINDOWS_1251),
        ("Ukrainian", UKRAINIAN, KOI8_U),
        ("German", GERMAN, WINDOWS_1252),
        ("French", FRENCH, WINDOWS_1252),
        ("Polish", POLISH, WINDOWS_1250),
        ("Polish", POLISH, ISO_8859_2),
        ("Czech", CZECH, WINDOWS_1250),
        ("Turkish", TURKISH, WINDOWS_1254),
        ("Arabic", ARABIC, WINDOWS_1256),
        ("Chinese", CHINESE, GBK),
    ];
    for (language, text, encoding) in legacy {
        let (bytes, _, has_failed) = encoding.encode(text);
        assert!(!has_failed, "{language} in {}", encoding.name());
        assert_eq!(decode(&bytes, None).unwrap(), *text, "{language} in {}", encoding.name());
        assert_eq!(decode(&bytes, Some(encoding)).unwrap(), *text, "{language} in {}, named", encoding.name());
    }
    for text in [RUSSIAN, UKRAINIAN, GERMAN, FRENCH, POLISH, CZECH, TURKISH, ARABIC, CHINESE, JAPANESE] {
        let text = format!("{text}\n{text}\n");
        let marked = format!("\u{feff}{text}");
        assert_eq!(decode(text.as_bytes(), None).unwrap(), text, "UTF-8");
        assert_eq!(decode(marked.as_bytes(), None).unwrap(), text, "UTF-8 with a mark");
        assert_eq!(decode(&utf16(&marked, u16::to_le_bytes), None).unwrap(), text, "UTF-16LE with a mark");
        assert_eq!(decode(&utf16(&marked, u16::to_be_bytes), None).unwrap(), text, "UTF-16BE with a mark");
        assert_eq!(decode(&utf16(&text, u16::to_le_bytes), None).unwrap(), text, "UTF-16LE");
        assert_eq!(decode(&utf16(&text, u16::to_be_bytes), None).unwrap(), text, "UTF-16BE");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let mut russian = WINDOWS_1251.encode(RUSSIAN).0.into_owned();
    russian[17] = 0;
    let random: Vec<u8> = (0u32..4000).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8 | 1).collect();
    let cases: &[(&str, &[u8], &str)] = &[
        ("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG image"),
        ("NUL byte", &russian, "NUL byte at offset 17"),
        ("NUL byte in UTF-8", "grün\0blau".as_bytes(), "NUL byte at offset 5"),
        ("zeros", &[0; 100], "NUL byte at offset 0"),
        ("random", &random, "control bytes"),
        ("UTF-32", b"\xff\xfe\0\0a\0\0\0", "UTF-32 text"),
    ];
    for (case, bytes, expected) in cases {
        match decode(bytes, None) {
            Err(InputFault::Binary { found }) => assert!(found.contains(expected), "{case}: {found}"),
            other => panic!("{case}: {other:?}"),
        }
    }
}

#[test]
fn damaged_utf_is_an_error_and_no_guess() {
    let mut german = format!("{GERMAN} ").repeat(3).into_bytes();
    let at = german.len() - 20;
    german[at] = 0xe4;
    let cut = GERMAN.as_bytes()[..GERMAN.find('ß').unwrap() + 1].to_vec();
    let mut surrogate = utf16("\u{feff}abc", u16::to_le_bytes);
    surrogate.extend([0x00, 0xd8, b'x', 0]);
    let cases: &[(&str, &[u8], &str, usize)] = &[
        ("byte of windows-1252 in UTF-8", &german, "UTF-8", at),
        ("cut in a character", &cut, "UTF-8", cut.len() - 1),
        ("mark and a bad byte", b"\xef\xbb\xbfabc\xff", "UTF-8", 6),
        ("half a pair of surrogates", &surrogate, "UTF-16LE", 8),
        ("half a unit", b"\xff\xfea\0b", "UTF-16LE", 4),
    ];
    for (case, bytes, name, place) in cases {
        match decode(bytes, None) {
            Err(InputFault::Encoding { encoding, offset }) => {
                assert_eq!((encoding, offset as usize), (*name, *place), "{case}");
            }
            other => panic!("{case}: {other:?}"),
        }
    }
    assert!(decode(&german, Some(WINDOWS_1252)).is_ok(), "the caller knows better");
}

#[test]
fn one_byte_in_ascii_text_is_not_utf_8() {
    assert_eq!(decode(b"Grenze \x96 weiter geschlossen", None).unwrap(), "Grenze – weiter geschlossen");
}

#[test]
fn pages_declare_their_encoding() {
    let page = |head: &str| format!("<html><head>{head}</head><body>{RUSSIAN}</body></html>");
    let cases = [
        ("charset", r#"<meta charset="koi8-r">"#, KOI8_U),
        ("http-equiv", r#"<META http-equiv=Content-Type content="text/html; charset=windows-1251">"#, WINDOWS_1251),
        ("without quotes", "<meta charset=cp1251 />", WINDOWS_1251),
        ("a script's declaration does not count", "<script charset='utf-8'></script><meta charset=koi8-u>", KOI8_U),
        ("unknown names are passed over", "<meta charset=nonsense><meta charset=koi8-u>", KOI8_U),
        ("UTF-8 wins if it is", "<meta charset=windows-1251>", UTF_8),
        ("nothing declared", "", WINDOWS_1251),
    ];
    for (case, head, encoding) in cases {
        let page = page(head);
        assert_eq!(decode_html(&encoding.encode(&page).0, None).unwrap(), page, "{case}");
    }
}
