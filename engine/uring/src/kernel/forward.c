/*
 * Forwards the RTP of spliced legs at the ingress of an interface (`make bpf` makes forward.o of this).
 *
 * A packet that a rule describes to the last bit gets new addresses, ports, payload type, sequence number, timestamp and SSRC,
 * and leaves by the interface that leads to its hearer. At any doubt it is left to the stack as it came, which hands it to the
 * leg's socket.
 *
 * `Rule` is shared with the process: layout and protocol are told in rule.rs.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NETWORK_16(x) __builtin_bswap16(x)
#define NETWORK_32(x) __builtin_bswap32(x)
#else
#define NETWORK_16(x) (x)
#define NETWORK_32(x) (x)
#endif

static void *(*map_look_up)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*ktime_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;
static long (*pull_data)(struct __sk_buff *, __u32 len) = (void *)BPF_FUNC_skb_pull_data;
static long (*store_bytes)(struct __sk_buff *, __u32 at, const void *from, __u32 len, __u64 flags) =
	(void *)BPF_FUNC_skb_store_bytes;
static long (*l4_checksum_replace)(struct __sk_buff *, __u32 at, __u64 from, __u64 to, __u64 flags) =
	(void *)BPF_FUNC_l4_csum_replace;
static long (*redirect)(__u32 interface, __u64 flags) = (void *)BPF_FUNC_redirect;
static long (*redirect_neighbour)(__u32 interface, void *parameters, int len, __u64 flags) =
	(void *)BPF_FUNC_redirect_neigh;

/* linux/bpf.h, enum tcx_action_base (Linux 6.6) */
#define NEXT (-1)
#define DROP 2

/* The headers of the packets that are forwarded: no VLAN tag, no IP options, no contributing sources, no extension. */
struct headers {
	__u8 version_and_length, tos;
	__u16 total_length, id, fragment;
	__u8 ttl, protocol;
	__u16 ip_checksum;
	__u32 source_address, destination_address;
	__u16 source_port, destination_port, udp_length, udp_checksum;
	__u8 rtp_first, marker_and_type;
	__u16 sequence;
	__u32 timestamp, ssrc;
};

#define LINK_BYTES ETH_HLEN
#define IP_BYTES 20
#define UDP_BYTES 8
#define RTP_BYTES 12
#define UDP_CHECKSUM_AT (LINK_BYTES + IP_BYTES + 6)

struct rule {
	__u64 word;
	__u32 at_address;
	__u16 at_port, source_port;
	__u32 source_address, ssrc;
	__u32 from_address, to_address;
	__u16 from_port, to_port;
	__u32 interface;
	__u32 out_ssrc, timestamp_shift;
	__u32 clock_rate;
	__u16 sequence_shift;
	__u8 type, out_type;
	__u64 clock_start_ns;
	/* From here on ours to write. */
	__u64 packets, bytes;
	__u64 at_us, last_at_us;
	__u32 highest, first;
	__u32 timestamp, transit;
	__u32 jitter_16ths, last_bytes;
	__u32 lease;
	__u8 tos, priority;
	__u16 mtu;
};

_Static_assert(sizeof(struct headers) == IP_BYTES + UDP_BYTES + RTP_BYTES, "headers");
_Static_assert(sizeof(struct rule) == 128, "two cache lines");

/* Bits of `word`; what is above them counts the times that the rule was used or changed. */
#define BUSY 1
#define OFF 2
#define USED 4

/* As engine/core has them (limits.rs, kernel.rs). */
#define MAX_DROPOUT 3000
#define MAX_MISORDER 100
#define MAX_PAYLOAD_BYTES 1400
#define MAX_TRANSIT_CHANGE_S 2

#define LOOPBACK_INTERFACE 1

struct address {
	__u32 address;
	__u16 port, padding;
};

/* Stand for the maps, whose descriptors are written into the instructions that name them (program.rs). */
__attribute__((section("maps"))) char ports, rules;

ALWAYS_INLINE __u32 fold_32(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

ALWAYS_INLINE __u16 fold_16(__u64 sum)
{
	__u32 folded = fold_32(sum);

	folded = (folded & 0xffff) + (folded >> 16);
	return (folded & 0xffff) + (folded >> 16);
}

/* What putting one word in the place of another adds to a one's complement sum (RFC 1624). */
ALWAYS_INLINE __u64 change(__u32 before, __u32 after)
{
	return (__u64)(__u32)~before + after;
}

ALWAYS_INLINE __u16 words_16(__u8 first, __u8 second)
{
	return NETWORK_16((__u16)first << 8 | second);
}

/* A moment in units of an RTP clock, exactly as engine/core counts it (leg/receive.rs, ts_of). */
ALWAYS_INLINE __u32 timestamp_of(__u64 us, __u64 rate)
{
	__u64 seconds = us / 1000000;

	return seconds * rate + (us - seconds * 1000000) * rate / 1000000;
}

/* Rewrites a packet's headers. Nonzero, with the packet untouched, if it cannot be written to. */
ALWAYS_INLINE long rewrite(struct __sk_buff *skb, const struct headers *was, const struct headers *is)
{
	__u64 addresses = change(was->source_address, is->source_address) +
			  change(was->destination_address, is->destination_address);
	__u64 rest = change((__u32)was->source_port << 16 | was->destination_port,
			    (__u32)is->source_port << 16 | is->destination_port) +
		     change(words_16(was->rtp_first, was->marker_and_type), words_16(is->rtp_first, is->marker_and_type)) +
		     change(was->sequence, is->sequence) + change(was->timestamp, is->timestamp) +
		     change(was->ssrc, is->ssrc);

	if (store_bytes(skb, LINK_BYTES, is, sizeof(*is), 0))
		return -1;
	/* With a checksum that the network card still has to make (loopback), these see to what it starts from. */
	l4_checksum_replace(skb, UDP_CHECKSUM_AT, 0, fold_32(addresses), BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
	l4_checksum_replace(skb, UDP_CHECKSUM_AT, 0, fold_32(rest), BPF_F_MARK_MANGLED_0);
	return 0;
}

/* Forwards a packet by a rule that is ours for the moment, by way of an interface. Zero if that was done. */
ALWAYS_INLINE long apply(struct __sk_buff *skb, struct rule *rule, __u32 interface, const struct headers *was)
{
	struct headers is = *was;
	__u32 payload = NETWORK_16(was->udp_length) - UDP_BYTES - RTP_BYTES;
	__u32 timestamp = NETWORK_32(was->timestamp), number = rule->highest;
	__u16 ahead = NETWORK_16(was->sequence) - (__u16)number;
	struct rule *lease;
	__u64 now_ns, now_us, sum;
	__u32 lease_at = rule->lease;
	__u32 transit, shift, rate = rule->clock_rate, jitter = rule->jitter_16ths;

	if (was->destination_address != rule->at_address || was->destination_port != rule->at_port ||
	    was->source_address != rule->source_address || was->source_port != rule->source_port ||
	    was->ssrc != rule->ssrc || (was->marker_and_type & 0x7f) != rule->type || payload == 0 ||
	    payload > MAX_PAYLOAD_BYTES || was->ttl <= 1 || !interface ||
	    NETWORK_16(was->total_length) > rule->mtu)
		return -1;
	/*
	 * The stack refuses local addresses from any other interface. A packet of the loopback has a route already, which
	 * redirect_neigh forgets to give back (before Linux 6.18).
	 */
	if ((interface == LOOPBACK_INTERFACE) != (skb->ifindex == LOOPBACK_INTERFACE))
		return -1;
	if (ahead < MAX_DROPOUT) {
		if (ahead && (__s32)(timestamp - rule->timestamp) < 0)
			return -1;
		number += ahead;
	} else if (ahead > 0x10000 - MAX_MISORDER) {
		number -= 0x10000 - ahead;
		if ((__s32)(number - rule->first) < 0)
			return -1;
	} else {
		return -1;
	}

	now_ns = ktime_ns();
	/* The place of a worker's lease has the moment at which that ends for its first word. */
	lease = map_look_up(&rules, &lease_at);
	if (!lease || (__s64)(now_ns - *(volatile __u64 *)&lease->word) > 0)
		return -1;
	now_us = (now_ns - rule->clock_start_ns) / 1000;
	transit = timestamp_of(now_us, rate) - timestamp;
	shift = transit - rule->transit;
	if (shift >> 31)
		shift = -shift;
	if (shift >= rate * MAX_TRANSIT_CHANGE_S)
		return -1;

	is.tos = rule->tos;
	is.ttl = was->ttl - 1;
	is.source_address = rule->from_address;
	is.destination_address = rule->to_address;
	is.source_port = rule->from_port;
	is.destination_port = rule->to_port;
	is.marker_and_type = (was->marker_and_type & 0x80) | rule->out_type;
	is.sequence = NETWORK_16((__u16)(number + rule->sequence_shift));
	is.timestamp = NETWORK_32(timestamp + rule->timestamp_shift);
	is.ssrc = rule->out_ssrc;
	sum = change(words_16(was->version_and_length, was->tos), words_16(is.version_and_length, is.tos)) +
	      change(words_16(was->ttl, was->protocol), words_16(is.ttl, is.protocol)) +
	      change(was->source_address, is.source_address) +
	      change(was->destination_address, is.destination_address);
	is.ip_checksum = ~fold_16(sum + (__u16)~was->ip_checksum);
	if (rewrite(skb, was, &is))
		return -1;
	skb->priority = rule->priority;

	rule->packets++;
	rule->bytes += payload;
	rule->last_at_us = now_us;
	rule->transit = transit;
	rule->jitter_16ths = jitter + shift - ((jitter + 8) >> 4);
	if (ahead && ahead < MAX_DROPOUT) {
		rule->highest = number;
		rule->timestamp = timestamp;
		rule->at_us = now_us;
		rule->last_bytes = payload;
	}
	return 0;
}

__attribute__((section("tcx"), used)) int forward(struct __sk_buff *skb)
{
	struct headers was;
	struct address at = {};
	struct rule *rule;
	__u32 *index, interface;
	__u64 word;
	void *data, *end;
	long refused;

	if (skb->protocol != NETWORK_16(ETH_P_IP) || skb->pkt_type != PACKET_HOST || skb->vlan_present || skb->gso_size)
		return NEXT;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + LINK_BYTES + sizeof(was) > end) {
		if (skb->len < LINK_BYTES + sizeof(was) || pull_data(skb, LINK_BYTES + sizeof(was)))
			return NEXT;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (data + LINK_BYTES + sizeof(was) > end)
			return NEXT;
	}
	was = *(struct headers *)(data + LINK_BYTES);
	if (was.version_and_length != 0x45 || was.protocol != IPPROTO_UDP || was.fragment & NETWORK_16(0x3fff) ||
	    was.rtp_first != 0x80 || NETWORK_16(was.udp_length) < UDP_BYTES + RTP_BYTES ||
	    NETWORK_16(was.total_length) != IP_BYTES + NETWORK_16(was.udp_length) ||
	    skb->len < LINK_BYTES + NETWORK_16(was.total_length))
		return NEXT;

	at.address = was.destination_address;
	at.port = was.destination_port;
	index = map_look_up(&ports, &at);
	if (!index)
		return NEXT;
	rule = map_look_up(&rules, index);
	if (!rule)
		return NEXT;
	word = *(volatile __u64 *)&rule->word;
	/* A stranger shall not keep the peer's packets waiting. What is read here may be changing: it is looked at again. */
	if (word & (BUSY | OFF) || was.source_address != rule->source_address || was.source_port != rule->source_port)
		return NEXT;
	/* A full barrier. Whoever comes second leaves its packet to the stack. */
	if (__sync_val_compare_and_swap(&rule->word, word, word | BUSY) != word)
		return NEXT;
	/* It may be changed at any time, and is one in all that follows. */
	interface = *(volatile __u32 *)&rule->interface;
	refused = apply(skb, rule, interface, &was);
	/* Also a full barrier, because what it returns is used. */
	word = __sync_fetch_and_add(&rule->word, USED - BUSY);
	asm volatile("" : : "r"(word));
	if (refused)
		return NEXT;
	return interface == LOOPBACK_INTERFACE ? redirect(interface, 0) : redirect_neighbour(interface, 0, 0, 0);
}
