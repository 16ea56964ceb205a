//! What persons and machines say, in the voices of espeak-ng.

use crate::calls::RATE_HZ;
use crate::line::resampled;
use crate::random::Random;
use std::io;
use std::process::Command;

/// A text in a voice at any speed and pitch, at [`RATE_HZ`], from its first sound to its last.
pub(crate) fn speak((voice, text): (&str, &str), random: &mut Random) -> io::Result<Vec<i16>> {
    let path = std::env::temp_dir().join(format!("cpd_corpus_{}.wav", std::process::id()));
    let (speed, pitch) = (135 + random.below(55), 25 + random.below(50));
    let status = Command::new("espeak-ng")
        .args(["-v", voice, "-s", &speed.to_string(), "-p", &pitch.to_string(), "-w"])
        .args([path.as_os_str(), text.as_ref()])
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("espeak-ng failed for {voice}")));
    }
    let read =
        hound::WavReader::open(&path).and_then(|mut wav| wav.samples().collect::<Result<Vec<i16>, _>>());
    std::fs::remove_file(&path)?;
    let samples = resampled(&read.map_err(io::Error::other)?, 22_050, RATE_HZ);
    let from = samples.iter().position(|s| s.abs() > 100).unwrap_or(0);
    let to = samples.iter().rposition(|s| s.abs() > 100).unwrap_or(samples.len());
    Ok(samples[from..to].to_vec())
}

pub(crate) const PERSONS: &[(&str, &str)] = &[
    ("en-us", "Hello?"),
    ("en-us+f3", "Hello?"),
    ("en-gb+f2", "Hello"),
    ("en-gb", "Yes?"),
    ("en-us+m3", "Yeah, hello?"),
    ("en-us+f4", "Hi, this is Anna."),
    ("en-gb+m2", "Smith speaking."),
    ("en-gb+f1", "Good morning."),
    ("en-us+m7", "Hello, this is Peter."),
    ("de", "Hallo?"),
    ("de+f2", "Müller."),
    ("de+m3", "Guten Tag, Schneider."),
    ("nl", "Hallo?"),
    ("nl+f2", "Met Jansen."),
    ("fr-fr", "Allô?"),
    ("fr-fr+f2", "Oui, bonjour?"),
    ("es", "¿Diga?"),
    ("it+f2", "Pronto?"),
    ("sv", "Hej, det är Erik."),
];

pub(crate) const MACHINES: &[(&str, &str)] = &[
    ("en-us", "Hi, you have reached the Carter family. Please leave a message after the tone."),
    (
        "en-us+f3",
        "Your call has been forwarded to an automatic voice message system. At the tone, please record.",
    ),
    ("en-gb+f2", "Hello. I can't come to the phone right now, so please leave your name and number."),
    ("en-gb+m2", "This is the voicemail of Doctor Brown. Leave a message and I will call you back."),
    ("en-us+m7", "The person you have called is not available. Please leave your message after the beep."),
    ("de", "Guten Tag, hier ist der Anrufbeantworter von Familie Schmidt. Bitte sprechen Sie nach dem Ton."),
    (
        "de+f2",
        "Der gewünschte Teilnehmer ist im Moment nicht erreichbar. Bitte hinterlassen Sie eine Nachricht.",
    ),
    ("nl+f2", "U bent verbonden met de voicemail van Jan. Spreek uw boodschap in na de piep."),
    ("fr-fr+f2", "Bonjour, vous êtes bien sur la messagerie de Marie. Laissez un message après le bip."),
    ("es", "Este es el buzón de voz de Carlos. Por favor, deje su mensaje después de la señal."),
    ("it+f2", "Risponde la segreteria telefonica. Lasciate un messaggio dopo il segnale acustico."),
];

/// Who talks behind a call.
pub(crate) const OTHERS: &[(&str, &str)] = &[
    ("en-gb+m4", "The meeting was moved to the third floor because the projector upstairs does not work."),
    ("en-us+f1", "I told her that the train leaves at nine, but she wanted to walk along the river first."),
    ("de+m5", "Am Wochenende fahren wir ans Meer, wenn das Wetter so schön bleibt wie heute."),
    ("nl+f3", "De winkel op de hoek verkoopt sinds vorige week ook verse bloemen."),
    ("fr-fr", "Nous avons trouvé une petite maison avec un grand jardin près de la gare."),
    ("es+f4", "Mañana vamos a comprar fruta y pan en el mercado de la plaza."),
];
