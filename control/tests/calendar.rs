//! Somebody sets the calendar under the real binary: what is due comes, though nobody asks.

mod binary;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use binary::{Control, PATIENCE, Place, binary, output};
use serde_json::json;

/// A library that puts a program's calendar ahead by as many seconds as a file says. Its other clocks stay as they are.
fn calendar(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("calendar.c"), folder.join("calendar.so"));
    std::fs::write(&source, SOURCE).expect("the source is written");
    let mut compiler = Command::new("cc");
    let (status, said) = output(compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source));
    assert!(status.success(), "{said}");
    library
}

#[test]
fn cb_10_the_time_of_a_callback_comes_when_the_calendar_is_set() {
    let place = Place::new("", "");
    let ahead = place.folder.path().join("ahead");
    let mut command = binary();
    command.arg(place.config()).env("LD_PRELOAD", calendar(place.folder.path())).env("AHEAD", &ahead);
    let control = Control::spawn(&mut command).expect("it starts");
    let body = json!({ "_customer_number": "+31201", "_call_direction": "USERTERMINATED", "_ttl": 7_200 });
    let path = "/genesys/1/service/callback/cb";
    let (status, reply) =
        control.raw("POST", path, "application/json", body.to_string().as_bytes()).expect("a reply");
    assert_eq!(status, 200, "{reply}");
    // Control looks at its calendar with whatever it does: it has done waiting for its engine by then.
    std::thread::sleep(Duration::from_secs(8));
    std::fs::write(&ahead, "10800").expect("the calendar is set");
    // Whoever asked control would tell it what its calendar shows.
    let begun = Instant::now();
    let wal = place.journal().with_extension("journal-wal");
    while !std::fs::read(&wal).is_ok_and(|bytes| contains(&bytes, b"FAIL_TIMEOUT_TTL")) {
        assert!(begun.elapsed() < PATIENCE, "nothing has come of it");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    FILE *file = failed || clock != CLOCK_REALTIME ? NULL : fopen(getenv("AHEAD"), "r");
    long ahead = 0;
    if (file) {
        if (fscanf(file, "%ld", &ahead) == 1) now->tv_sec += ahead;
        fclose(file);
    }
    return failed;
}
"#;
