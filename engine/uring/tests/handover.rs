//! Cancelling, moving sockets between threads, waking, waiting.

mod common;

use common::*;
use offhook_uring::{Completion, ReceiveEnd, Ring, RingConfig, SetupError, SlotError};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

#[test]
fn after_a_cancelled_receive_has_ended_no_datagram_of_it_comes() {
    let mut ring = ring();
    let (slot, address) = armed(&mut ring, "127.0.0.1:0", 2);
    let (phone, _) = socket("127.0.0.1:0");
    for round in 0..200_u32 {
        for n in 0..round % 50 {
            phone.send_to(&n.to_be_bytes(), address).unwrap();
        }
        ring.cancel_receive(slot).unwrap();
        let reason = loop {
            match next(&mut ring) {
                Completion::Datagram(datagram) => assert_eq!(datagram.token, 2),
                Completion::ReceiveEnded { token: 2, reason } => break reason,
                other => panic!("{other:?}"),
            }
        };
        assert!(matches!(reason, ReceiveEnd::Cancelled | ReceiveEnd::NoBuffers), "{reason:?}");
        phone.send_to(b"later", address).unwrap();
        assert!(rest(&mut ring).is_empty());
        ring.receive(slot, 2).unwrap();
        while *datagram(&mut ring).buffer != *b"later" {}
    }
}

#[test]
fn a_receive_is_cancelled_in_the_middle_of_a_burst() {
    // After 32 datagrams at once the kernel puts a receive at the back of its queue, and a cancel must find it there.
    let mut ring = Ring::new(&RingConfig { receive_buffers: 1024, completions: 2048, ..small() }).unwrap();
    let (slot, address) = armed(&mut ring, "127.0.0.1:0", 2);
    let (phone, _) = socket("127.0.0.1:0");
    for _ in 0..50 {
        for _ in 0..300 {
            phone.send_to(b"burst", address).unwrap();
        }
        ring.submit_and_wait(1, Some(PATIENCE), None).unwrap();
        ring.cancel_receive(slot).unwrap();
        while !matches!(next(&mut ring), Completion::ReceiveEnded { .. }) {}
        assert!(rest(&mut ring).is_empty());
        ring.receive(slot, 2).unwrap();
    }
}

#[test]
fn a_socket_moves_between_threads_under_traffic_without_loss_or_reordering() {
    const TOTAL: u32 = 20_000;
    const MOVES: u32 = 100;
    let (leg, address) = socket("127.0.0.1:0");
    let (to_other, from_home) = mpsc::channel::<OwnedFd>();
    let (to_home, from_other) = mpsc::channel::<(OwnedFd, Vec<u32>)>();
    let taken = Arc::new(AtomicU32::new(0));
    let taken_there = Arc::clone(&taken);
    let other = thread::spawn(move || {
        let mut ring = ring();
        for fd in from_home {
            to_home.send(hold_for_a_while(&mut ring, fd, &taken_there)).unwrap();
        }
    });
    let taken_by_both = Arc::clone(&taken);
    let sender = thread::spawn(move || {
        let (phone, _) = socket("127.0.0.1:0");
        for n in 0..TOTAL {
            phone.send_to(&n.to_be_bytes(), address).unwrap();
            // No more than the socket's receive buffer is sure to hold.
            while n > taken_by_both.load(Ordering::Relaxed) + 1000 {
                thread::yield_now();
            }
        }
    });
    let mut ring = ring();
    let (mut fd, mut heard) = (OwnedFd::from(leg), Vec::new());
    for _ in 0..MOVES {
        let (back, here) = hold_for_a_while(&mut ring, fd, &taken);
        heard.extend(here);
        to_other.send(back).unwrap();
        let (back, there) = from_other.recv().unwrap();
        heard.extend(there);
        fd = back;
    }
    drop(to_other);
    other.join().unwrap();
    let slot = ring.register(fd).unwrap();
    while heard.len() < TOTAL as usize {
        if let Err(SlotError::Os(error)) = ring.receive(slot, 0) {
            panic!("{error}");
        }
        if let Completion::Datagram(datagram) = next(&mut ring) {
            heard.push(number(&datagram.buffer));
            taken.fetch_add(1, Ordering::Relaxed);
        }
    }
    sender.join().unwrap();
    assert!(heard.iter().copied().eq(0..TOTAL), "every datagram once, in order");
}

/// Receives at least once on `fd`, then gives it back with all that was heard.
fn hold_for_a_while(ring: &mut Ring, fd: OwnedFd, taken: &AtomicU32) -> (OwnedFd, Vec<u32>) {
    let slot = ring.register(fd).unwrap();
    ring.receive(slot, 0).unwrap();
    let mut heard = Vec::new();
    let mut note = |completion| match completion {
        Completion::Datagram(datagram) => {
            heard.push(number(&datagram.buffer));
            taken.fetch_add(1, Ordering::Relaxed);
            false
        }
        Completion::ReceiveEnded { .. } => true,
        other => panic!("{other:?}"),
    };
    ring.submit_and_wait(1, Some(Duration::from_millis(1)), None).unwrap();
    let mut over = false;
    while let Some(completion) = ring.next_completion() {
        over |= note(completion);
    }
    if !over {
        ring.cancel_receive(slot).unwrap();
        assert!(matches!(ring.unregister(slot), Err(SlotError::Armed)));
        while !note(next(ring)) {}
    }
    (ring.unregister(slot).unwrap(), heard)
}

#[test]
fn a_wake_from_another_thread_ends_a_wait_without_limit() {
    let mut ring = ring();
    let waker = ring.waker();
    let (send, receive) = mpsc::channel();
    let other = thread::spawn(move || {
        for n in 0..2000_u32 {
            send.send(n).unwrap();
            waker.wake();
        }
    });
    let mut heard = 0;
    while heard < 2000 {
        ring.submit_and_wait(1, None, None).unwrap();
        while let Some(completion) = ring.next_completion() {
            assert!(matches!(completion, Completion::Woken));
            while let Ok(n) = receive.try_recv() {
                assert_eq!(n, heard);
                heard += 1;
            }
        }
    }
    other.join().unwrap();
}

#[test]
fn a_wake_ends_a_gathering_wait_long_before_its_minimum() {
    let (waker_out, waker) = mpsc::channel();
    let (woken_out, woken) = mpsc::channel();
    // A wait that does not end leaves its thread behind.
    thread::spawn(move || {
        let mut ring = ring();
        waker_out.send(ring.waker()).unwrap();
        loop {
            ring.submit_and_wait(64, None, Some(Duration::from_secs(3_600))).unwrap();
            while let Some(completion) = ring.next_completion() {
                assert!(matches!(completion, Completion::Woken));
                if woken_out.send(()).is_err() {
                    return;
                }
            }
        }
    });
    let waker = waker.recv().unwrap();
    for n in 0..2_000_u32 {
        waker.wake();
        // Without a pause the wake comes before the wait begins, with one most likely in it.
        if n % 2 == 0 {
            thread::yield_now();
        }
        woken.recv_timeout(PATIENCE).unwrap();
    }
    drop(woken);
    waker.wake();
}

#[test]
fn waking_a_ring_that_is_gone_is_harmless() {
    let waker = ring().waker();
    waker.wake();
    waker.clone().wake();
}

#[test]
fn a_wait_with_nothing_to_come_ends_at_its_time_out() {
    let mut ring = ring();
    ring.submit_and_wait(1, Some(Duration::from_millis(2)), None).unwrap();
    ring.submit_and_wait(0, None, None).unwrap();
    ring.submit_and_wait(64, Some(Duration::from_millis(2)), Some(Duration::from_millis(1))).unwrap();
    assert!(ring.next_completion().is_none());
}

#[test]
fn a_time_out_ends_a_gathering_wait_before_its_minimum() {
    let (over_out, over) = mpsc::channel();
    // A wait that does not end leaves its thread behind.
    thread::spawn(move || {
        let mut ring = ring();
        let hour = Duration::from_secs(3_600);
        ring.submit_and_wait(64, Some(Duration::from_millis(2)), Some(hour)).unwrap();
        over_out.send(ring.next_completion().is_none()).unwrap();
        let (_, address) = armed(&mut ring, "127.0.0.1:0", 1);
        socket("127.0.0.1:0").0.send_to(b"alone", address).unwrap();
        ring.submit_and_wait(64, Some(Duration::from_millis(2)), Some(hour)).unwrap();
        over_out.send(matches!(ring.next_completion(), Some(Completion::Datagram(_)))).unwrap();
    });
    assert!(over.recv_timeout(PATIENCE).unwrap(), "nothing had come");
    assert!(over.recv_timeout(PATIENCE).unwrap(), "one had come");
}

#[test]
fn a_gathering_wait_is_content_with_one_completion_once_its_minimum_has_passed() {
    let mut ring = ring();
    let (_, address) = armed(&mut ring, "127.0.0.1:0", 1);
    let (phone, _) = socket("127.0.0.1:0");
    phone.send_to(b"alone", address).unwrap();
    ring.submit_and_wait(64, None, Some(Duration::from_micros(500))).unwrap();
    assert!(matches!(ring.next_completion(), Some(Completion::Datagram(_))));
}

#[test]
fn a_ring_dropped_in_mid_traffic_lets_buffers_outlive_it_and_its_memory_be_reused() {
    for _ in 0..50 {
        let mut ring = ring();
        let (_, address) = armed(&mut ring, "127.0.0.1:0", 1);
        let (phone, _) = socket("127.0.0.1:0");
        for _ in 0..100 {
            phone.send_to(&[9; 100], address).unwrap();
        }
        let kept = datagram(&mut ring);
        drop(ring);
        for _ in 0..10 {
            let _ = phone.send_to(&[1; 100], address);
        }
        assert_eq!(*kept.buffer, [9; 100]);
    }
}

#[test]
fn rings_come_and_go_on_one_thread_without_using_up_its_ring_descriptors() {
    // A thread has 16 places for registered ring descriptors; a leak would show as slower rings, or as files left.
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    thread::spawn(move || {
        let kept: Vec<_> = (0..20).map(|_| ring()).collect();
        drop(kept);
        let before = open();
        for _ in 0..40 {
            drop(ring());
        }
        assert!(open() <= before + 16, "other tests open files too, but not that many at once");
    })
    .join()
    .unwrap();
}

#[test]
fn a_table_larger_than_the_limit_of_open_files_is_refused_with_the_remedy() {
    let limit = offhook_uring::limits::raise_nofile(1).unwrap();
    let Ok(files) = u32::try_from(limit + 1) else { return };
    if files > 1 << 20 {
        return;
    }
    match Ring::new(&RingConfig { files, ..small() }) {
        Err(error @ SetupError::Files { .. }) => assert!(error.to_string().contains("ulimit -n"), "{error}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the table should not fit"),
    }
}

#[test]
fn a_full_table_refuses_another_socket() {
    let mut ring = Ring::new(&RingConfig { files: 1, ..small() }).unwrap();
    ring.register(socket("127.0.0.1:0").0.into()).unwrap();
    assert!(matches!(ring.register(socket("127.0.0.1:0").0.into()), Err(SlotError::Full)));
}
