//! A ring whose receives cannot be ended keeps what the kernel may still write to.
//!
//! Alone in its process: it counts what is taken from the allocator and not given back.

#![allow(unsafe_code)]

mod common;

use common::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicIsize, Ordering};

/// Counts blocks of the size of a ring's two message headers.
struct Counting;

static HEADERS: AtomicIsize = AtomicIsize::new(0);

fn is_headers(layout: Layout) -> bool {
    layout.size() == size_of::<[libc::msghdr; 2]>()
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEADERS.fetch_add(isize::from(is_headers(layout)), Ordering::Relaxed);
        // SAFETY: what the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HEADERS.fetch_sub(isize::from(is_headers(layout)), Ordering::Relaxed);
        // SAFETY: what the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Message headers that a ring leaves behind when it is dropped, with or without its descriptor being taken away before.
fn left_behind(taken_away: bool) -> isize {
    let headers = HEADERS.load(Ordering::Relaxed);
    let before: Vec<RawFd> = rings();
    let mut ring = ring();
    armed(&mut ring, "127.0.0.1:0", 1);
    if taken_away {
        let descriptor = rings().into_iter().find(|ring| !before.contains(ring)).expect("it is open");
        let nothing = fs::File::open("/dev/null").unwrap();
        // SAFETY: dup2 takes no pointers; from here on the ring's descriptor is that of another file, as if by a stray close.
        assert!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&nothing), descriptor) } >= 0);
    }
    drop(ring);
    HEADERS.load(Ordering::Relaxed) - headers
}

/// Descriptors of rings in this process.
fn rings() -> Vec<RawFd> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let is_ring = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().contains("io_uring"))
    };
    entries.filter(is_ring).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[test]
fn a_ring_that_cannot_end_its_receives_gives_no_memory_back_that_they_point_to() {
    assert_eq!(left_behind(false), 0);
    assert_eq!(left_behind(true), 1);
}
