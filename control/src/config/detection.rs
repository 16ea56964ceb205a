//! Who answered: the keys that a queue and a callback service share (CB-17, BY-05).

use offhook_control_core::config::{DetectionConfig, OnMachine, OnTone};
use offhook_proto::limits::{DETECT_LEVEL_DBM0, DETECT_MS, DETECT_THRESHOLD, DETECT_WORDS};
use offhook_proto::{AmdParameters, ToneParameters};

use super::sections::set;
use super::table::Table;

/// What is done when something else than a person answers.
pub(super) fn detection(table: &mut Table<'_, '_>) -> DetectionConfig {
    let mut detection = DetectionConfig::default();
    let machine = [
        ("connect", OnMachine::Connect),
        ("drop", OnMachine::Drop),
        ("message", OnMachine::Message),
        ("retry", OnMachine::Retry),
    ];
    let tone = [("connect", OnTone::Connect), ("drop", OnTone::Drop), ("retry", OnTone::Retry)];
    set(&mut detection.machine, table.choice("on_machine", &machine));
    set(&mut detection.fax, table.choice("on_fax", &tone));
    set(&mut detection.tones, table.choice("on_tones", &tone));
    set(&mut detection.message, table.text("machine_message"));
    if detection.machine == OnMachine::Message && detection.message.is_empty() {
        table.refuse("on_machine", "needs machine_message, the name of a WAV file, beside it");
    }
    detection.amd = amd(table.table("amd"));
    detection.tone_parameters = tones(table.table("tones"));
    detection
}

/// How a person is told from a machine.
fn amd(mut table: Table<'_, '_>) -> AmdParameters {
    let mut amd = AmdParameters::default();
    for (field, key) in [
        (&mut amd.initial_silence_ms, "initial_silence_ms"),
        (&mut amd.greeting_ms, "greeting_ms"),
        (&mut amd.after_greeting_silence_ms, "after_greeting_silence_ms"),
        (&mut amd.total_analysis_time_ms, "total_analysis_time_ms"),
        (&mut amd.min_word_length_ms, "min_word_length_ms"),
        (&mut amd.maximum_word_length_ms, "maximum_word_length_ms"),
        (&mut amd.between_words_silence_ms, "between_words_silence_ms"),
    ] {
        set(field, table.number(key, DETECT_MS));
    }
    set(&mut amd.maximum_number_of_words, table.number("maximum_number_of_words", DETECT_WORDS));
    set(&mut amd.silence_threshold, table.number("silence_threshold", DETECT_THRESHOLD));
    table.finish();
    amd
}

/// What counts as which tone.
fn tones(mut table: Table<'_, '_>) -> ToneParameters {
    let mut tones = ToneParameters::default();
    set(&mut tones.min_level_dbm0, table.number("min_level_dbm0", DETECT_LEVEL_DBM0));
    set(&mut tones.fax, table.flag("fax"));
    set(&mut tones.sit, table.flag("sit"));
    for (key, number, takes) in tones.numbers() {
        set(number, table.number(key, takes));
    }
    if let Some((key, why)) = tones.contradiction() {
        table.refuse(key, &why);
    }
    table.finish();
    tones
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use offhook_proto::ToneParameters;

    use super::super::Config;

    const HEAD: &str = "[[queue]]\nname = \"sales\"\n[[service]]\nname = \"cb\"\nqueue = \"sales\"\n";

    #[test]
    fn cb_17_the_cadences_of_a_country_can_be_set_for_a_service() {
        let spain = "[service.tones]\nbusy_min_ms = 150\nbusy_max_ms = 309\nreorder_min_ms = 310\nreorder_max_ms = 600\n\
                     fax = false\nmin_level_dbm0 = -30\n";
        let config = Config::parse(&format!("{HEAD}{spain}"), Path::new(".")).expect("no mistake");
        let wanted = ToneParameters {
            busy_min_ms: 150,
            busy_max_ms: 309,
            reorder_min_ms: 310,
            reorder_max_ms: 600,
            fax: false,
            min_level_dbm0: -30,
            ..ToneParameters::default()
        };
        assert_eq!(config.core.services[0].detection.tone_parameters, wanted);
        assert_eq!(config.core.queues[0].detection.tone_parameters, ToneParameters::default());
    }

    #[test]
    fn cb_17_tones_that_cannot_be_are_refused_by_name() {
        for (line, words) in [
            (
                "min_level_dbm0 = 3",
                "service[1].tones.min_level_dbm0 must be a whole number from -55 to 0, not 3",
            ),
            (
                "beep_max_hz = 4000",
                "service[1].tones.beep_max_hz must be a whole number from 200 to 3800, not 4000",
            ),
            (
                "beep_min_ms = 6000",
                "service[1].tones.beep_min_ms must be at most beep_max_ms, 5000, not 6000",
            ),
            ("reorder_max_ms = 400", "service[1].tones.reorder_min_ms must not overlap busy, 310..=600"),
            ("busy_ms = 400", "service[1].tones.busy_ms is not known"),
            ("sit = 1", "service[1].tones.sit must be true or false"),
        ] {
            let text = format!("{HEAD}[service.tones]\n{line}\n");
            let found = Config::parse(&text, Path::new(".")).expect_err("a mistake");
            assert!(found.iter().any(|mistake| mistake.message.starts_with(words)), "{line}: {found:#?}");
        }
    }
}
