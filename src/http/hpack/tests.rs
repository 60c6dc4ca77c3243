use std::path::Path;

use loona_hpack::decoder::DecoderError;
use proptest::prelude::*;

use super::encoder::{Encoder, Form};
use super::*;

type Pair = (Vec<u8>, Vec<u8>);
type Shown = (Option<Vec<u8>>, Option<Vec<u8>>);

fn shown(list: &List) -> Vec<Shown> {
    let own = |text: Option<&[u8]>| text.map(<[u8]>::to_vec);
    list.iter().map(|f| (own(f.name), own(f.value))).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Shown>, Error> {
    let mut list = List::default();
    decoder
        .decode(block, |_| true, &mut list)
        .map(|()| shown(&list))
}

fn whole(fields: &[Pair]) -> Vec<Shown> {
    let known = |(n, v): &Pair| (Some(n.clone()), Some(v.clone()));
    fields.iter().map(known).collect()
}

fn pairs(fields: &[(&str, &str)]) -> Vec<Pair> {
    let own = |(n, v): &(&str, &str)| (n.as_bytes().to_vec(), v.as_bytes().to_vec());
    fields.iter().map(own).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}

/// Nothing that is shown differs from what was meant. Returns how many texts are known.
fn never_wrong(shown: &[Shown], meant: &[Pair]) -> usize {
    assert_eq!(shown.len(), meant.len(), "{shown:?} {meant:?}");
    let mut known = 0;
    for ((name, value), (meant_name, meant_value)) in shown.iter().zip(meant) {
        for (text, meant) in [(name, meant_name), (value, meant_value)] {
            assert!(
                text.as_ref().is_none_or(|t| t == meant),
                "{text:?} {meant:?}"
            );
            known += usize::from(text.is_some());
        }
    }
    known
}

/// RFC 7541, appendix C: blocks, what they mean, and the table's size behind each.
#[allow(clippy::type_complexity)]
const REQUESTS: [(&str, &[(&str, &str)], usize); 3] = [
    (
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ],
        57,
    ),
    (
        "8286 84be 5808 6e6f 2d63 6163 6865",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
            ("cache-control", "no-cache"),
        ],
        110,
    ),
    (
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ],
        164,
    ),
];

const REQUESTS_HUFFMAN: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

#[allow(clippy::type_complexity)]
const RESPONSES: [(&str, &[(&str, &str)], usize); 3] = [
    (
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a \
         3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        &[
            (":status", "302"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("location", "https://www.example.com"),
        ],
        222,
    ),
    (
        "4803 3330 37c1 c0bf",
        &[
            (":status", "307"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("location", "https://www.example.com"),
        ],
        222,
    ),
    (
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 \
         677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 \
         553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        &[
            (":status", "200"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
            ("location", "https://www.example.com"),
            ("content-encoding", "gzip"),
            (
                "set-cookie",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
        ],
        215,
    ),
];

const RESPONSES_HUFFMAN: [&str; 3] = [
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d \
     29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d \
     d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 \
     3d50 07",
];

#[test]
fn examples_of_the_rfc() {
    let single = [
        (
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            ("custom-key", "custom-header"),
            55,
        ),
        (
            "040c 2f73 616d 706c 652f 7061 7468",
            (":path", "/sample/path"),
            0,
        ),
        (
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            ("password", "secret"),
            0,
        ),
        ("82", (":method", "GET"), 0),
    ];
    for (wire, field, size) in single {
        let mut decoder = Decoder::new();
        assert_eq!(
            decode(&mut decoder, &hex(wire)).unwrap(),
            whole(&pairs(&[field]))
        );
        assert_eq!(decoder.table.size(), size);
    }
    let plain = |list: [(&'static str, _, _); 3]| list.map(|e: (_, &[_], usize)| e.0);
    let stories = [
        (plain(REQUESTS), REQUESTS, 4_096),
        (REQUESTS_HUFFMAN, REQUESTS, 4_096),
        (plain(RESPONSES), RESPONSES, 256),
        (RESPONSES_HUFFMAN, RESPONSES, 256),
    ];
    for (wires, story, limit) in stories {
        let mut decoder = Decoder::new();
        decoder.table.resize(limit);
        for (wire, (_, fields, size)) in wires.iter().zip(story) {
            assert_eq!(
                decode(&mut decoder, &hex(wire)).unwrap(),
                whole(&pairs(fields))
            );
            assert_eq!(decoder.table.size(), size);
            assert!(decoder.is_whole());
        }
    }
}

#[test]
fn integers_of_the_rfc_and_beyond() {
    let read = |bytes: &[u8], bits| Input(bytes).integer(bits);
    assert_eq!(read(&[0b1110_1010], 5), Ok(10));
    assert_eq!(read(&[0b0001_1111, 0b1001_1010, 0b0000_1010], 5), Ok(1_337));
    assert_eq!(read(&[42], 8), Ok(42));
    assert_eq!(
        read(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f], 7),
        Err(Error::Integer)
    );
    assert_eq!(read(&[0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f], 7), Ok(u32::MAX));
    assert_eq!(
        read(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0], 7),
        Err(Error::Integer)
    );
    assert_eq!(read(&[0x7f, 0x80], 7), Err(Error::Truncated));
}

/// One connection of the published cases: blocks, and what they mean.
fn story(path: &Path) -> Vec<(Vec<u8>, Vec<Pair>)> {
    let file = std::fs::File::open(path).unwrap();
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap();
    let story: serde_json::Value = serde_json::from_str(&text).unwrap();
    let case = |case: &serde_json::Value| {
        let field = |field: &serde_json::Value| {
            let (name, value) = field.as_object().unwrap().iter().next().unwrap();
            (
                name.as_bytes().to_vec(),
                value.as_str().unwrap().as_bytes().to_vec(),
            )
        };
        let fields = case["headers"].as_array().unwrap().iter();
        (
            hex(case["wire"].as_str().unwrap()),
            fields.map(field).collect(),
        )
    };
    story["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(case)
        .collect()
}

fn stories() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/hpack");
    let folders = std::fs::read_dir(&root).into_iter().flatten();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder.unwrap().path()).ok());
    let mut paths: Vec<_> = files.flatten().map(|file| file.unwrap().path()).collect();
    paths.sort();
    if paths.is_empty() {
        eprintln!("SKIPPED: {} is not there", root.display());
    }
    paths
}

/// What receivers in these cases allow: some sizes there are past the default.
const ALLOWED: u32 = 16_384;

#[test]
fn published_cases_whole() {
    for path in stories() {
        let mut decoder = Decoder::new();
        decoder.allow(ALLOWED);
        for (at, (wire, fields)) in story(&path).into_iter().enumerate() {
            let got = decode(&mut decoder, &wire);
            assert_eq!(got, Ok(whole(&fields)), "{} {at}", path.display());
        }
    }
}

#[test]
fn published_cases_joined_late_at_every_block() {
    let (mut known, mut all, mut recovered) = (0, 0, 0);
    for path in stories() {
        let story = story(&path);
        for from in 1..story.len() {
            // To the end from some places, from the others as long as much is unknown.
            let blocks = if from % 16 == 1 { story.len() } else { 6 };
            let mut decoder = Decoder::joined_late();
            for (wire, fields) in story[from..].iter().take(blocks) {
                let got = decode(&mut decoder, wire).unwrap();
                known += never_wrong(&got, fields);
                all += 2 * fields.len();
            }
            recovered += usize::from(decoder.is_whole());
        }
    }
    eprintln!("joined late: {known} of {all} texts known, {recovered} tables whole in the end");
}

#[test]
fn a_late_joiner_learns_and_recovers() {
    let mut encoder = Encoder::new();
    let first = encoder.encode(&[(":path", "/old"), ("x-old", "1")]);
    let mut late = Decoder::joined_late();
    let known = |text: &str| Some(text.as_bytes().to_vec());
    drop(first);

    // Older entries are unknown; a literal with an older name has its value.
    let mut block = encoder.encode(&[("x-old", "1"), ("x-new", "2")]);
    encoder.field(Form::Insert, b"x-old", b"3", &mut block);
    let got = decode(&mut late, &block).unwrap();
    let new = (known("x-new"), known("2"));
    assert_eq!(got, [(None, None), new.clone(), (None, known("3"))]);

    // What was inserted since resolves, behind a placeholder too.
    let block = encoder.encode(&[("x-old", "3"), ("x-new", "2"), (":path", "/old")]);
    let got = decode(&mut late, &block).unwrap();
    assert_eq!(got, [(None, known("3")), new, (None, None)]);
    assert!(!late.is_whole());

    // Once nothing old can be left, the table is whole.
    encoder.resize(4_096);
    let filler = "v".repeat(1_000);
    let names = ["a", "b", "c", "d"];
    let block = encoder.encode(&names.map(|name| (name, filler.as_str())));
    decode(&mut late, &block).unwrap();
    assert!(late.is_whole());
    let beyond = 61 + 4 + 1;
    assert_eq!(decode(&mut late, &[0x80 | beyond]), Err(Error::Index));
}

#[test]
fn a_table_emptied_is_known() {
    let mut late = Decoder::joined_late();
    assert_eq!(decode(&mut late, &[0x80 | 62]).unwrap(), [(None, None)]);
    decode(&mut late, &[0x20, 0x3f, 0xe1, 0x1f]).unwrap();
    assert!(late.is_whole());
    assert_eq!(decode(&mut late, &[0x80 | 62]), Err(Error::Index));
}

#[test]
fn errors_are_named_and_not_the_end() {
    let cases: [(&[u8], Error); 7] = [
        (&[0x80], Error::Index),
        (&[0x80 | 62], Error::Index),
        (&[0x40, 0x81, 0x00, 0x00], Error::Huffman),
        (&[0x40, 0x05, b'a'], Error::Truncated),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Error::Integer),
        (&[0x82, 0x3f, 0xe1, 0x1f], Error::Resize),
        (&[0x3f, 0xe2, 0x1f], Error::Resize),
    ];
    for (block, error) in cases {
        let mut decoder = Decoder::new();
        assert_eq!(decode(&mut decoder, block), Err(error), "{block:?}");
        let get = whole(&pairs(&[(":method", "GET")]));
        assert_eq!(decode(&mut decoder, &[0x82]).unwrap(), get);
    }
}

#[test]
fn what_is_too_long_stays_in_step() {
    for huffman in [false, true] {
        let mut encoder = Encoder::new();
        encoder.huffman = huffman;
        encoder.resize(1 << 20);
        let mut decoder = Decoder::new();
        decoder.allow(1 << 20);
        let (name, value) = ("n".repeat(MAX_NAME + 1), "v".repeat(MAX_VALUE + 1));
        let fields = [("a", "1"), (&name, "2"), ("b", &value), ("c", "3")];
        let known = |text: &str| Some(text.as_bytes().to_vec());
        for _ in 0..2 {
            let got = decode(&mut decoder, &encoder.encode(&fields)).unwrap();
            let expected = [
                (known("a"), known("1")),
                (None, known("2")),
                (known("b"), None),
                (known("c"), known("3")),
            ];
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn what_is_not_wanted_is_passed_over() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let mut list = List::default();
    let fields = [
        ("a", Form::Plain),
        ("b", Form::Insert),
        ("etag", Form::Plain),
        ("c", Form::Plain),
    ];
    let mut block = Vec::new();
    for (name, form) in fields {
        encoder.field(form, name.as_bytes(), b"value", &mut block);
    }
    let wanted = |name: &[u8]| name == b"c";
    decoder.decode(&block, wanted, &mut list).unwrap();
    // What enters the table is read in any case.
    assert_eq!(
        shown(&list),
        whole(&pairs(&[("b", "value"), ("c", "value")]))
    );
    assert_eq!(decoder.table.size(), 38);
}

#[test]
fn a_bomb_is_cut() {
    let mut encoder = Encoder::new();
    let value = "v".repeat(4_000);
    let mut block = encoder.encode(&[("bomb", &value)]);
    block.resize(32_000, 0x80 | 62);
    let mut list = List::default();
    let mut decoder = Decoder::new();
    decoder.decode(&block, |_| true, &mut list).unwrap();
    assert!(list.cut && list.iter().count() <= MAX_LIST / 4_000);
    assert!(list.text.len() <= MAX_LIST);
    // The table did not suffer.
    let got = decode(&mut decoder, &encoder.encode(&[("bomb", &value)])).unwrap();
    assert_eq!(got, whole(&pairs(&[("bomb", &value)])));
}

#[test]
fn memory_is_bounded_whatever_the_peers_agree_on() {
    let mut encoder = Encoder::new();
    encoder.resize(1 << 30);
    let mut decoder = Decoder::new();
    decoder.allow(u32::MAX);
    let value = "v".repeat(3_000);
    for i in 0..200 {
        let name = format!("name-{i}");
        let block = encoder.encode(&[(&name, &value)]);
        let got = decode(&mut decoder, &block).unwrap();
        assert_eq!(got, whole(&pairs(&[(&name, &value)])));
        assert!(decoder.table.memory() <= 2 * tables::MAX_TABLE + 4_096);
    }
    // The newest are there, the oldest have become unknown, none is wrong.
    let newest = encoder.encode(&[("name-199", &value), ("name-0", &value)]);
    let got = decode(&mut decoder, &newest).unwrap();
    assert_eq!(got[0], whole(&pairs(&[("name-199", &value)]))[0]);
    assert_eq!(got[1], (None, None));
}

#[test]
fn cut_at_every_offset() {
    for (wire, fields, _) in RESPONSES.into_iter().take(1) {
        let (wire, meant) = (hex(wire), pairs(fields));
        for end in 0..wire.len() {
            let mut decoder = Decoder::new();
            match decode(&mut decoder, &wire[..end]) {
                Ok(got) => assert_eq!(got, whole(&meant[..got.len()])),
                Err(error) => assert_eq!(error, Error::Truncated, "at {end}"),
            }
        }
    }
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![4 => Just(Form::Best), 1 => Just(Form::Insert), 1 => Just(Form::Plain)]
}

/// Few names and values, so that they meet again; some are large, so that tables overflow.
fn field() -> impl Strategy<Value = (Form, Vec<u8>, Vec<u8>)> {
    let name = prop_oneof![
        Just(b":path".to_vec()),
        Just(b"accept".to_vec()),
        "[a-f]{1,2}".prop_map(String::into_bytes),
    ];
    let value =
        (0_usize..4, 0_u8..4).prop_map(|(size, fill)| vec![b'v' + fill; [1, 7, 90, 1_500][size]]);
    (form(), name, value)
}

/// Size update, Huffman code or not, and fields.
type Block = (Option<usize>, bool, Vec<(Form, Vec<u8>, Vec<u8>)>);

fn conversation() -> impl Strategy<Value = Vec<Block>> {
    let size = prop_oneof![6 => Just(None), 1 => (0_usize..6_000).prop_map(Some)];
    let block = (size, any::<bool>(), prop::collection::vec(field(), 1..6));
    prop::collection::vec(block, 1..30)
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_and_late_is_never_wrong(blocks in conversation(), from in 0_usize..30) {
        let mut encoder = Encoder::new();
        let (mut decoder, mut late) = (Decoder::new(), Decoder::joined_late());
        let mut oracle = loona_hpack::Decoder::new();
        decoder.allow(6_000);
        oracle.set_max_allowed_table_size(6_000);
        for (at, (resize, huffman, fields)) in blocks.into_iter().enumerate() {
            if let Some(size) = resize {
                encoder.resize(size);
            }
            encoder.huffman = huffman;
            let mut block = Vec::new();
            for (form, name, value) in &fields {
                encoder.field(*form, name, value, &mut block);
            }
            let meant: Vec<Pair> = fields.into_iter().map(|(_, n, v)| (n, v)).collect();
            prop_assert_eq!(&oracle.decode(&block).unwrap(), &meant);
            prop_assert_eq!(decode(&mut decoder, &block).unwrap(), whole(&meant));
            if at >= from {
                let got = decode(&mut late, &block).unwrap();
                never_wrong(&got, &meant);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_as_the_oracle_reads_them(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..4)
    ) {
        let mut decoder = Decoder::new();
        let mut oracle = loona_hpack::Decoder::new();
        for block in blocks {
            let Ok(got) = decode(&mut decoder, &block) else { break };
            match oracle.decode(&block) {
                Ok(meant) => prop_assert_eq!(got, whole(&meant)),
                // RFC 7541 does not ask for a field behind a size update.
                Err(DecoderError::SizeUpdateAtEnd) => break,
                Err(error) => prop_assert!(false, "{error:?}"),
            }
        }
    }

    #[test]
    fn no_bytes_panic_a_late_joiner(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8)
    ) {
        let mut decoder = Decoder::joined_late();
        for block in blocks {
            let _ = decode(&mut decoder, &block);
            prop_assert!(decoder.table.memory() <= 2 * tables::MAX_TABLE + 4_096);
        }
    }
}
