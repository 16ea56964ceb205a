//! The program that chooses the socket, as eBPF instructions (RFC 9669).
//!
//! What it does, in C:
//!
//! ```c
//! int choose(struct bpf_sk_lookup *ctx) {
//!     if (ctx->protocol != IPPROTO_UDP || ctx->family != AF_INET || ctx->local_ip4 != ADDRESS) return SK_PASS;
//!     u32 port = ctx->local_port;
//!     u32 *worker = bpf_map_lookup_elem(&ports, &port);
//!     if (!worker) return SK_PASS;
//!     u32 index = *worker - 1;                              // nobody is 0, and index -1 is in no map
//!     struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &index);
//!     if (!sk) return SK_PASS;
//!     bpf_sk_assign(ctx, sk, 0);
//!     bpf_sk_release(sk);
//!     return SK_PASS;
//! }
//! ```

use crate::bpf::{Instruction, LOAD_IMMEDIATE_64, MAP_DESCRIPTOR};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

/// The program for the ports of one address.
pub(super) fn lookup(address: Ipv4Addr, ports: &OwnedFd, sockets: &OwnedFd) -> Vec<Instruction> {
    let mut program = Program::default();
    program.copy(CONTEXT, 1);
    program.load(0, CONTEXT, PROTOCOL);
    program.pass_unless_equal(0, libc::IPPROTO_UDP);
    program.load(0, CONTEXT, FAMILY);
    program.pass_unless_equal(0, libc::AF_INET);
    program.load(0, CONTEXT, LOCAL_IP4);
    // The context has it in network order. A 32-bit comparison, which knows no sign.
    program.pass_unless_equal(0, i32::from_ne_bytes(address.octets()));
    program.load(0, CONTEXT, LOCAL_PORT);
    program.look_up(ports);
    program.pass_if_zero();
    program.load(0, 0, 0);
    program.add(0, -1);
    program.look_up(sockets);
    program.pass_if_zero();
    program.copy(SOCKET, 0);
    program.copy(1, CONTEXT);
    program.copy(2, SOCKET);
    program.set(3, 0);
    program.call(SK_ASSIGN);
    program.copy(1, SOCKET);
    program.call(SK_RELEASE);
    program.finish()
}

/// A program in the making. Registers: 0 result, 1 to 5 arguments, 6 to 9 kept over calls, 10 the stack.
#[derive(Default)]
struct Program {
    instructions: Vec<Instruction>,
    /// Jumps whose goal is the end.
    passes: Vec<usize>,
}

impl Program {
    fn push(&mut self, opcode: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.instructions.push(Instruction { opcode, registers: from << 4 | to, offset, immediate });
    }

    fn copy(&mut self, to: u8, from: u8) {
        self.push(MOVE_64, to, from, 0, 0);
    }

    fn set(&mut self, to: u8, value: i32) {
        self.push(SET_64, to, 0, 0, value);
    }

    fn add(&mut self, to: u8, value: i32) {
        self.push(ADD_32, to, 0, 0, value);
    }

    /// Loads 32 bits from `offset` behind what a register points to.
    fn load(&mut self, to: u8, from: u8, offset: i16) {
        self.push(LOAD_32, to, from, offset, 0);
    }

    fn call(&mut self, function: i32) {
        self.push(CALL, 0, 0, 0, function);
    }

    /// Looks register 0 up in a map, into register 0.
    fn look_up(&mut self, map: &OwnedFd) {
        self.push(STORE_32, STACK, 0, KEY_AT, 0);
        self.copy(2, STACK);
        self.push(ADD_64, 2, 0, 0, i32::from(KEY_AT));
        self.push(LOAD_IMMEDIATE_64, 1, MAP_DESCRIPTOR, 0, map.as_raw_fd());
        self.push(0, 0, 0, 0, 0);
        self.call(MAP_LOOKUP);
    }

    fn pass_unless_equal(&mut self, register: u8, value: i32) {
        self.passes.push(self.instructions.len());
        self.push(JUMP_UNLESS_EQUAL_32, register, 0, 0, value);
    }

    fn pass_if_zero(&mut self) {
        self.passes.push(self.instructions.len());
        self.push(JUMP_IF_EQUAL_64, 0, 0, 0, 0);
    }

    fn finish(mut self) -> Vec<Instruction> {
        let end = self.instructions.len();
        for &at in &self.passes {
            // A jump counts from the instruction after it.
            self.instructions[at].offset = i16::try_from(end - at - 1).expect("the program is short");
        }
        self.set(0, SK_PASS);
        self.push(EXIT, 0, 0, 0, 0);
        self.instructions
    }
}

const CONTEXT: u8 = 6;
const SOCKET: u8 = 7;
const STACK: u8 = 10;
const KEY_AT: i16 = -4;

/// Fields of `struct bpf_sk_lookup` (linux/bpf.h).
const FAMILY: i16 = 8;
const PROTOCOL: i16 = 12;
const LOCAL_IP4: i16 = 40;
const LOCAL_PORT: i16 = 60;

const SK_PASS: i32 = 1;
/// Helper functions (linux/bpf.h, enum bpf_func_id).
const MAP_LOOKUP: i32 = 1;
const SK_RELEASE: i32 = 86;
const SK_ASSIGN: i32 = 124;

/// Opcodes (RFC 9669, appendix A).
const LOAD_32: u8 = 0x61;
const STORE_32: u8 = 0x63;
const ADD_32: u8 = 0x04;
const ADD_64: u8 = 0x07;
const MOVE_64: u8 = 0xbf;
const SET_64: u8 = 0xb7;
const JUMP_IF_EQUAL_64: u8 = 0x15;
const JUMP_UNLESS_EQUAL_32: u8 = 0x56;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
