"""How good speech is that has gone through the engine: `make quality`.

    quality.py say DIRECTORY      makes what is said, a directory for each voice
    quality.py judge DIRECTORY    prints the marks of what was heard of it, and writes quality.json

Between the two, `speech` (engine/core/examples) sends it through the engine. Marks are MOS-LQO from 1 to 5, by ViSQOL in
its speech mode; an original beside itself gets about 4.5. What no 8 kHz encoding can carry is no fault: where one is on the
way, the original is taken at 8 kHz too.
"""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# The judges are processes of their own.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

VOICES = {
    "en-us": "She keeps four thick jackets in the shed. The price of fresh fish went up again this week.",
    "en-gb+f2": "Thank you for calling. Please say which of these six choices suits you best, and why.",
    "en-us+m7": "The judge saw a yellow taxi near the bridge. Nobody remembers who paid for the journey.",
    "de+f3": "Guten Tag, Sie sprechen mit Frau Schulze. Welche Rechnung haben Sie zuletzt bezahlt?",
}
RATES_HZ = (8_000, 16_000, 48_000)
RATE_HZ = 16_000
# A pause first, in which a jitter buffer finds its delay.
LEAD_S, TAIL_S = 3.0, 0.7
# How much of the pause is judged.
BEFORE_S = 0.5
LEVEL_DBFS = -22

WIDE_SPEAKERS = ("g722", "opus16", "opus48")
SPEAKERS = ("pcmu", "pcma", "l16", "opus8", *WIDE_SPEAKERS)
WIDE_HEARERS = ("g722", "opus")
HEARERS = ("pcmu", "pcma", "l16", *WIDE_HEARERS)
LOSSES_PERCENT = (1, 3, 5)
JITTERS_MS = (20, 60)
# What the engine may take from the mark of the two codecs alone.
MOST_TAKEN = 0.1
# The table of G.711 itself: not always the step that decoding and encoding finds.
TABLED = ("pcmu", "pcma")


def say(directory):
    """What each voice says, at each rate, with pauses around it."""
    for voice, text in VOICES.items():
        place = directory / voice
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        raw = place / "raw.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", raw, text], check=True)
        rate_hz, samples = wavfile.read(raw)
        raw.unlink()
        speech = samples / 32_768
        speech *= 10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(speech**2))
        for to_hz in RATES_HZ:
            pauses = [np.zeros(int(seconds * to_hz)) for seconds in (LEAD_S, TAIL_S)]
            whole = np.concatenate([pauses[0], resample_poly(speech, to_hz, rate_hz), pauses[1]])
            pcm = np.clip(np.round(whole * 32_768), -32_768, 32_767).astype(np.int16)
            wavfile.write(place / f"said.{to_hz}.wav", to_hz, pcm)


def read(path):
    """Samples of a file, from -1 to 1, at the judge's rate."""
    rate_hz, samples = wavfile.read(path)
    return resample_poly(samples / 32_768, RATE_HZ, rate_hz)


def original(place, speaker, hearer):
    """What should have been heard."""
    wide = speaker in WIDE_SPEAKERS and hearer in WIDE_HEARERS
    return read(place / ("said.16000.wav" if wide else "said.8000.wav"))


def lateness(said, heard):
    """By how many samples `heard` is late: where the two are most alike."""
    length = len(said) + len(heard)
    alike = np.fft.irfft(np.fft.rfft(heard, length) * np.conj(np.fft.rfft(said, length)), length)
    return int(np.argmax(alike[: RATE_HZ // 2]))


def mark(said, heard):
    """The judge's mark, and the likeness of the worst 0.4 s, of two sounds that begin together."""
    result = JUDGE.measure_from_arrays(said, heard, RATE_HZ)
    worst = min(patch.similarity for patch in result.patch_sims)
    return {"mos_lqo": result.moslqo, "likeness": result.vnsim, "worst": worst}


def spoken(said, heard, late):
    """Both without the pause and the delay."""
    begin = int((LEAD_S - BEFORE_S) * RATE_HZ)
    return said[begin:], heard[begin + late :][: len(said) - begin]


def judge_file(path):
    speaker, hearer, way = path.stem.split(".")
    said, heard = original(path.parent, speaker, hearer), read(path)
    late = lateness(said, heard)
    place = {"voice": path.parent.name, "from": speaker, "to": hearer, "way": way}
    return place | {"delay_ms": 1_000 * late / RATE_HZ} | mark(*spoken(said, heard, late))


def loudest(sound, width):
    """Where the loudest so many samples begin."""
    return int(np.argmax(np.convolve(sound**2, np.ones(width), "valid")))


def without(sound, width):
    """20 ms, or a sample, left out where it is loudest: the rest comes early."""
    begin = loudest(sound, RATE_HZ // 50)
    return np.delete(sound, slice(begin, begin + width))


def silenced(sound):
    begin = loudest(sound, RATE_HZ // 50)
    return np.concatenate([sound[:begin], np.zeros(RATE_HZ // 50), sound[begin + RATE_HZ // 50 :]])


def rattled(sound):
    """One sample of each 20 ms left out, as when clocks differ and nobody minds."""
    return np.delete(sound, np.arange(RATE_HZ // 50, len(sound), RATE_HZ // 50))


def clipped(sound):
    """12 dB too loud for 16 bits, and turned down again."""
    return np.clip(sound * 4, -1, 1) / 4


FAULTS = {
    "none": lambda sound: sound,
    "one sample left out": lambda sound: without(sound, 1),
    "a sample of every 20 ms left out": rattled,
    "20 ms left out": lambda sound: without(sound, RATE_HZ // 50),
    "20 ms silent": silenced,
    "12 dB too loud": clipped,
}
# Too small for it: one sample left out once.
AUDIBLE = ("a sample of every 20 ms left out", "20 ms left out", "20 ms silent", "12 dB too loud")
FAULTY_WAY = ("g722", "opus", "engine")


def judge_fault(job):
    """The mark of a voice that came well through the engine and then met a fault."""
    place, fault = job
    said, heard = original(place, *FAULTY_WAY[:2]), read(place / (".".join(FAULTY_WAY) + ".wav"))
    said, heard = spoken(said, heard, lateness(said, heard))
    return {"voice": place.name, "fault": fault} | mark(said, FAULTS[fault](heard))


def start_judge():
    global JUDGE
    from visqol import VisqolApi

    JUDGE = VisqolApi()
    JUDGE.create(mode="speech", use_lattice_model=True)


def averaged(marks, keys):
    """Marks by what `keys` say, each the mean over all voices."""
    groups = {}
    for each in marks:
        groups.setdefault(tuple(each[key] for key in keys), []).append(each)
    numbers = [key for key, value in marks[0].items() if isinstance(value, float)]
    return {
        group: {key: float(np.mean([each[key] for each in members])) for key in numbers}
        for group, members in groups.items()
    }


def table(title, head, rows):
    print(title, end="\n\n")
    for row in (head, ["---"] * len(head), *rows):
        print("|", " | ".join(row), "|")
    print(flush=True)


def mos(ways, speaker, hearer, *names):
    return " / ".join(f"{ways[speaker, hearer, name]['mos_lqo']:.2f}" for name in names)


def plain_hearer(speaker):
    """Who hears it converted, and takes nothing more away."""
    return "pcmu" if speaker == "l16" else "l16"


def print_ways(ways):
    table(
        "Through the engine, and (in brackets) through the two codecs alone:",
        ["from", *HEARERS],
        [[s, *(f"{mos(ways, s, h, 'engine')} ({mos(ways, s, h, 'codecs')})" for h in HEARERS)] for s in SPEAKERS],
    )
    losses = [f"loss{percent}" for percent in LOSSES_PERCENT]
    engine, gaps = ([f"{kind}-{loss}" for loss in losses] for kind in ("engine", "gaps"))
    table(
        f"With {' / '.join(map(str, LOSSES_PERCENT))} % of the packets lost:",
        ["from", *HEARERS, "silence in place of concealment"],
        [
            [s, *(mos(ways, s, h, *engine) for h in HEARERS), mos(ways, s, plain_hearer(s), *gaps)]
            for s in SPEAKERS
        ],
    )
    jitters = {0: "engine"} | {ms: f"engine-jitter{ms}" for ms in JITTERS_MS}
    late = {s: [ways[s, plain_hearer(s), way] for way in jitters.values()] for s in SPEAKERS}
    table(
        "With packets late by up to so much, at random:",
        ["from", "to", *(f"{ms} ms: mark, delay" for ms in jitters)],
        [
            [s, plain_hearer(s), *(f"{way['mos_lqo']:.2f}, {way['delay_ms']:.1f} ms" for way in late[s])]
            for s in SPEAKERS
        ],
    )


def judge(directory):
    """Prints all marks; returns what is wrong with them."""
    files = sorted(path for voice in VOICES for path in (directory / voice).glob("*.*.*.wav"))
    jobs = [(directory / voice, fault) for voice in VOICES for fault in FAULTS]
    with ProcessPoolExecutor(os.cpu_count(), initializer=start_judge) as judges:
        marks = list(judges.map(judge_file, files, chunksize=4))
        planted = list(judges.map(judge_fault, jobs))
    ways, faults = averaged(marks, ("from", "to", "way")), averaged(planted, ("fault",))
    print_ways(ways)
    table(
        f"Faults planted in what came from {FAULTY_WAY[0]} to {FAULTY_WAY[1]}, to see that the judge hears them:",
        ["fault", "mark", "likeness", "likeness of the worst 0.4 s"],
        [
            [fault, f"{mark['mos_lqo']:.2f}", f"{mark['likeness']:.4f}", f"{mark['worst']:.3f}"]
            for (fault,), mark in faults.items()
        ],
    )
    (directory.parent / "quality.json").write_text(json.dumps({"marks": marks, "faults": planted}, indent=1))
    whole = faults["none",]["likeness"]
    deaf = [f"the judge does not hear: {fault}" for fault in AUDIBLE if faults[fault,]["likeness"] >= whole]
    worse = [
        f"{speaker} to {hearer}: the engine takes more than {MOST_TAKEN} from the codecs' own mark"
        for speaker in SPEAKERS
        for hearer in HEARERS
        if (speaker, hearer) != TABLED
        and ways[speaker, hearer, "engine"]["mos_lqo"] < ways[speaker, hearer, "codecs"]["mos_lqo"] - MOST_TAKEN
    ]
    return deaf + worse


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("say", "judge"):
        sys.exit(__doc__)
    directory = Path(sys.argv[2])
    if sys.argv[1] == "say":
        say(directory)
        return
    wrong = judge(directory)
    if wrong:
        sys.exit("quality: " + "\nquality: ".join(wrong))


if __name__ == "__main__":
    main()
