#include "move/announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/proc.h"
#include "runtime/runtime.h"

struct arp_packet {
	struct ether_header eth;
	struct arphdr arp;
	uint8_t sender_mac[ETH_ALEN], sender_ip[4], target_mac[ETH_ALEN], target_ip[4];
} __attribute__((packed));

struct na_packet {
	struct ether_header eth;
	struct ip6_hdr ip;
	struct nd_neighbor_advert na;
	struct nd_opt_hdr opt;
	uint8_t mac[ETH_ALEN];
} __attribute__((packed));

static int interface_of(int sock, const char *name, uint8_t mac[ETH_ALEN])
{
	struct ifreq q = {0};
	int index;

	snprintf(q.ifr_name, sizeof(q.ifr_name), "%s", name);
	if (ioctl(sock, SIOCGIFINDEX, &q) < 0)
		return -1;
	index = q.ifr_ifindex;
	if (ioctl(sock, SIOCGIFHWADDR, &q) < 0)
		return -1;
	memcpy(mac, q.ifr_hwaddr.sa_data, ETH_ALEN);
	return index;
}

static void put_on_wire(int sock, int index, const void *packet, size_t n)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = index, .sll_halen = ETH_ALEN};

	memcpy(to.sll_addr, packet, ETH_ALEN);
	if (sendto(sock, packet, n, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		log_debug("announce: %s", strerror(errno));
}

static void announce_v4(int sock, int index, const uint8_t mac[ETH_ALEN], const struct in_addr *ip)
{
	struct arp_packet p = {.arp = {.ar_hrd = htons(ARPHRD_ETHER),
				       .ar_pro = htons(ETHERTYPE_IP),
				       .ar_hln = ETH_ALEN,
				       .ar_pln = 4,
				       .ar_op = htons(ARPOP_REQUEST)}};

	memset(p.eth.ether_dhost, 0xff, ETH_ALEN);
	memcpy(p.eth.ether_shost, mac, ETH_ALEN);
	p.eth.ether_type = htons(ETHERTYPE_ARP);
	memcpy(p.sender_mac, mac, ETH_ALEN);
	memcpy(p.sender_ip, ip, 4);
	memcpy(p.target_ip, ip, 4);
	put_on_wire(sock, index, &p, sizeof(p));
}

/* The one's complement sum of the pseudo header and the message. */
static uint16_t icmp6_sum(const struct na_packet *p)
{
	const size_t n = sizeof(*p) - offsetof(struct na_packet, na);
	const uint8_t *m = (const uint8_t *)&p->na, *addr = (const uint8_t *)&p->ip.ip6_src;
	uint32_t sum = (uint32_t)n + IPPROTO_ICMPV6;

	for (size_t i = 0; i < 32; i += 2)
		sum += (uint32_t)addr[i] << 8 | addr[i + 1];
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)m[i] << 8 | m[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void announce_v6(int sock, int index, const uint8_t mac[ETH_ALEN], const struct in6_addr *ip)
{
	static const uint8_t all_nodes_mac[ETH_ALEN] = {0x33, 0x33, 0, 0, 0, 1};
	struct na_packet p = {0};

	memcpy(p.eth.ether_dhost, all_nodes_mac, ETH_ALEN);
	memcpy(p.eth.ether_shost, mac, ETH_ALEN);
	p.eth.ether_type = htons(ETHERTYPE_IPV6);
	p.ip.ip6_flow = htonl(6u << 28);
	p.ip.ip6_plen = htons(sizeof(p) - offsetof(struct na_packet, na));
	p.ip.ip6_nxt = IPPROTO_ICMPV6;
	p.ip.ip6_hlim = 255;
	p.ip.ip6_src = *ip;
	inet_pton(AF_INET6, "ff02::1", &p.ip.ip6_dst);
	p.na.nd_na_type = ND_NEIGHBOR_ADVERT;
	p.na.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
	p.na.nd_na_target = *ip;
	p.opt.nd_opt_type = ND_OPT_TARGET_LINKADDR;
	p.opt.nd_opt_len = 1;
	memcpy(p.mac, mac, ETH_ALEN);
	p.na.nd_na_cksum = icmp6_sum(&p);
	put_on_wire(sock, index, &p, sizeof(p));
}

static void announce_netif(int sock, const struct netif *n)
{
	uint8_t mac[ETH_ALEN];
	int index = interface_of(sock, n->name ? n->name : "eth0", mac);

	for (size_t i = 0; index >= 0 && n->addresses && n->addresses[i]; i++) {
		_cleanup_free_ char *text = xstrndup(
			n->addresses[i], strcspn(n->addresses[i], "/"));
		struct in_addr v4;
		struct in6_addr v6;

		if (inet_pton(AF_INET, text, &v4) == 1)
			announce_v4(sock, index, mac, &v4);
		else if (inet_pton(AF_INET6, text, &v6) == 1)
			announce_v6(sock, index, mac, &v6);
	}
}

/* Only the network namespace is entered: nothing of the container's is run or read. */
static int inside(const struct container *c, pid_t init)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/ns/net", (int)init);
	_cleanup_close_ int ns = open(path, O_RDONLY | O_CLOEXEC), sock = -1;

	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		return 1;
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	for (size_t i = 0; sock >= 0 && i < c->netifs.n; i++)
		if (c->netifs.v[i].type != NETIF_NONE && c->netifs.v[i].type != NETIF_EMPTY)
			announce_netif(sock, &c->netifs.v[i]);
	return 0;
}

void announce_container(const struct container *c)
{
	struct err e = ERR_INIT;
	enum ct_state state;
	pid_t init = 0, pid;

	if (runtime_state(c->name, &state, &init, &e) < 0 || init <= 0)
		return;
	pid = proc_fork(&e);
	if (pid == 0)
		_exit(inside(c, init));
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}
