//! Vendors' formats: what their frames become, step by step.
//!
//! `tests/golden/dialect/<format>/` holds frames that were written for this from the vendors' descriptions, the screen of a
//! reader after each of them, and the turns at the end (`UPDATE_GOLDEN=1` writes both anew; look at what differs). Real
//! streams are read from the folder that `CAPTIONWIRE_DATA` names; where it names none, their tests say that they were
//! left out.

mod conservation;
mod foreign;
mod properties;
mod real;
mod restarts;
mod screen;
mod sessions;
mod silence;
mod vendor_ids;
mod vendors;

use captionwire::dialect::{Framing, Options, VendorFormat};

use screen::Screen;

/// The sample frames of a format.
fn sample(format: VendorFormat) -> Vec<Vec<u8>> {
    let path = format!("{}/tests/golden/dialect/{format}/frames.ndjson", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let frame = |line: &str| match format.framing() {
        Framing::Json => line.as_bytes().to_vec(),
        // Streams of text have line feeds and other things in them: each frame is a string of JSON.
        Framing::Lines | Framing::Characters => {
            serde_json::from_str::<String>(line).unwrap_or_else(|error| panic!("{path}: {error}: {line}")).into_bytes()
        }
    };
    text.lines().map(frame).collect()
}

fn options() -> Options {
    Options { label_source: Some("main".into()), ..Options::new("t") }
}

fn check_golden(format: VendorFormat, name: &str, found: &str) {
    let path = format!("{}/tests/golden/dialect/{format}/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).expect("the golden can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(golden == found, "{path} differs; found:\n{found}");
}

#[test]
fn every_sample_is_shown_as_it_was() {
    for format in VendorFormat::ALL {
        let mut dialect = format.open(options());
        let mut screen = Screen::new();
        let mut steps = String::new();
        for (number, frame) in (1..).zip(sample(format)) {
            let step = screen.decode(&mut *dialect, &frame);
            steps += &format!("after frame {number}{step}\n{}", screen.lines());
        }
        let step = screen.end(&mut *dialect);
        steps += &format!("at the end{step}\n{}", screen.lines());
        check_golden(format, "screen.txt", &steps);
        check_golden(format, "turns.txt", &screen.turns());
    }
}

#[test]
fn formats_are_known_by_name() {
    for format in VendorFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
        assert_eq!(format.as_str().to_uppercase().parse(), Ok(format));
    }
    let error = "web\ncaptioner".parse::<VendorFormat>().expect_err("no such format").to_string();
    assert!(error.contains("webcaptioner") && error.contains("deepgram"), "{error}");
}
