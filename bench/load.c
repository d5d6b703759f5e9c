/*
 * Opens event streams, publishes through Redis, checks and measures what arrives, prints one line of JSON.
 *
 *   load --port P --redis-port P --pid SERVER [--connections N] [--channels K]
 *        [--window W | --rate R | --idle] [--seconds S] [--warmup S] [--settle S]
 *
 * Stream i listens on channel c<i % K>. Every message carries "n", its number on its channel (from 1), and "t", when it
 * was published (ns, monotonic clock). Both are found anywhere in the bytes, so the framing around them does not matter.
 *
 * --window  closed loop: publish while what is under way is less than W messages, each to all who listen to it
 * --rate    open loop: R messages a second, whatever the server does; "t" is when the message was due
 * --idle    connect, measure, publish nothing
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  CARRY_BYTES = 128,       /* longer than one half-received "n":…,"t":… */
  READ_BYTES = 256 * 1024,
  OPENING_AT_ONCE = 200,   /* handshakes in flight, well below any listen backlog */
  PAYLOAD_BYTES = 200,
  CONNECT_TIMEOUT_S = 60,
  DRAIN_TIMEOUT_S = 5,
};

static struct {
  int port, redis_port, pid, connections, channels, window;
  double rate, seconds, warmup, settle;
  bool idle;
} options = {.connections = 1000, .channels = 1, .seconds = 2, .warmup = 1, .settle = 0.2};

enum state { UNOPENED, CONNECTING, AWAITING_HEAD, AWAITING_EVENT, READY, CLOSED };

struct stream {
  int fd;
  enum state state;
  uint64_t next;    /* the number expected next */
  uint64_t arrived; /* bit i: message next-1-i has come; tells a late message from a repeated one */
  uint64_t missing, duplicated, reordered;
  int carried;
  char carry[CARRY_BYTES];
};

static struct stream *streams;
static uint64_t *published; /* per channel: the number of its last message */
static int opened, ready, closed, epoll_fd, redis_fd;

static uint64_t published_in_all, expected, delivered;
static bool measuring;
static uint64_t measured_deliveries;

static void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  exit(1);
}

static uint64_t clock_ns(clockid_t clock) {
  struct timespec t;
  if (clock_gettime(clock, &t)) die("the server (process %d) has ended", options.pid);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static uint64_t seconds_ns(double seconds) { return (uint64_t)(seconds * 1e9); }

/* ---- latencies: a histogram with 32 buckets for each power of two, so within 3 % ---- */

enum { BUCKET_BITS = 5, BUCKETS = 64 << BUCKET_BITS };
static uint64_t latencies[BUCKETS], latency_count;

static void record_latency(uint64_t ns) {
  int shift = ns >> BUCKET_BITS ? 63 - __builtin_clzll(ns) - BUCKET_BITS : 0;
  latencies[((uint64_t)shift << BUCKET_BITS) + (ns >> shift)]++;
  latency_count++;
}

static double latency_ms(double quantile) {
  uint64_t wanted = (uint64_t)(quantile * (double)latency_count), seen = 0;
  for (int i = 0; i < BUCKETS; i++) {
    seen += latencies[i];
    if (seen <= wanted) continue;
    int shift = i >> (BUCKET_BITS + 1) ? (i >> BUCKET_BITS) - 1 : 0;
    return (double)((uint64_t)(i - (shift << BUCKET_BITS)) << shift) / 1e6;
  }
  return 0;
}

/* ---- the server, seen from outside ---- */

static double server_cpu_s(void) {
  clockid_t clock;
  if (clock_getcpuclockid(options.pid, &clock)) die("no process %d: has the server ended?", options.pid);
  return (double)clock_ns(clock) / 1e9;
}

static double server_memory_kb(void) {
  char path[64];
  long pages = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", options.pid);
  FILE *file = fopen(path, "r");
  if (!file || fscanf(file, "%*d %ld", &pages) != 1) die("cannot read %s: has the server ended?", path);
  fclose(file);
  return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

/* ---- one stream ---- */

static int connect_loopback(int port, int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), yes = 1;
  if (fd < 0) die("socket: %s (does `ulimit -n` allow %d connections?)", strerror(errno), options.connections);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect: %s", strerror(errno));
  return fd;
}

static void watch(int operation, int fd, uint32_t events, void *tag) {
  struct epoll_event event = {.events = events, .data.ptr = tag};
  if (epoll_ctl(epoll_fd, operation, fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static void open_stream(struct stream *stream) {
  stream->fd = connect_loopback(options.port, SOCK_NONBLOCK);
  stream->state = CONNECTING;
  stream->next = 1;
  watch(EPOLL_CTL_ADD, stream->fd, EPOLLOUT, stream);
}

static void send_request(struct stream *stream) {
  char request[256];
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) die("cannot connect to port %d: %s", options.port, strerror(error));
  int length = snprintf(request, sizeof request,
                        "GET /stream?channels=c%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n\r\n",
                        (int)(stream - streams) % options.channels, options.port);
  if (send(stream->fd, request, length, MSG_NOSIGNAL) != length) die("send: %s", strerror(errno));
  stream->state = AWAITING_HEAD;
  watch(EPOLL_CTL_MOD, stream->fd, EPOLLIN, stream);
}

static void close_stream(struct stream *stream) {
  if (stream->state != READY) die("the server closed a stream before its first event");
  close(stream->fd);
  stream->state = CLOSED;
  closed++;
}

/* A stream counts as open once the response head and one whole event have come. Returns where to go on. */
static const char *read_opening(struct stream *stream, const char *at, const char *end) {
  if (stream->state == AWAITING_HEAD) {
    const char *head_end = memmem(at, end - at, "\r\n\r\n", 4);
    if (!head_end) return at;
    if (memcmp(at, "HTTP/1.1 200", 12)) die("the server refused a stream: %.*s", (int)(head_end - at), at);
    stream->state = AWAITING_EVENT;
    at = head_end + 4;
  }
  const char *event_end = memmem(at, end - at, "\n\n", 2);
  if (!event_end) return at;
  stream->state = READY;
  ready++;
  return event_end + 2;
}

static void count_message(struct stream *stream, uint64_t n, uint64_t t, uint64_t now) {
  uint64_t behind = stream->next - 1 - n; /* only meaningful when n < next */
  if (n >= stream->next) {
    uint64_t step = n - stream->next + 1;
    stream->missing += step - 1;
    stream->arrived = step > 63 ? 1 : stream->arrived << step | 1;
    stream->next = n + 1;
  } else if (behind < 64 && !(stream->arrived >> behind & 1)) {
    stream->arrived |= 1ull << behind;
    stream->missing--;
    stream->reordered++;
  } else {
    stream->duplicated++;
    return;
  }
  delivered++;
  if (!measuring) return;
  measured_deliveries++;
  record_latency(now > t ? now - t : 0);
}

static const char *read_number(const char *at, const char *end, uint64_t *value) {
  for (*value = 0; at < end && *at >= '0' && *at <= '9'; at++) *value = *value * 10 + (uint64_t)(*at - '0');
  return at;
}

/* Returns the first byte that may belong to a message not yet complete. */
static const char *read_messages(struct stream *stream, const char *at, const char *end, uint64_t now) {
  for (;;) {
    uint64_t n, t;
    const char *start = memmem(at, end - at, "\"n\":", 4);
    if (!start) return end - at > 3 ? end - 3 : at;
    const char *rest = read_number(start + 4, end, &n);
    if (end - rest < 5) return start;
    if (memcmp(rest, ",\"t\":", 5)) die("\"n\" is not followed by \"t\": did the server rewrite the data?");
    rest = read_number(rest + 5, end, &t);
    if (rest == end) return start;
    count_message(stream, n, t, now);
    at = rest;
  }
}

static void read_stream(struct stream *stream) {
  static char buffer[CARRY_BYTES + READ_BYTES];
  memcpy(buffer, stream->carry, stream->carried);
  ssize_t got = recv(stream->fd, buffer + stream->carried, READ_BYTES, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    close_stream(stream);
    return;
  }
  const char *at = buffer, *end = buffer + stream->carried + got;
  if (stream->state != READY) at = read_opening(stream, at, end);
  if (stream->state == READY) at = read_messages(stream, at, end, now_ns());
  /* A response head may be longer than what is carried; a message never is. */
  if (stream->state != AWAITING_HEAD && end - at > CARRY_BYTES) at = end - CARRY_BYTES;
  if (end - at > CARRY_BYTES) die("the response head came in too many pieces to be read here");
  stream->carried = (int)(end - at);
  memcpy(stream->carry, at, stream->carried);
}

/* ---- publishing ---- */

static char *commands;
static size_t commands_length, commands_size;

static size_t write_payload(char *to, size_t size, uint64_t n, uint64_t t) {
  static const char tail[] = "\"},\"socket\":null}";
  size_t length = (size_t)snprintf(to, size,
                                   "{\"event\":\"App\\\\Events\\\\OrderShipped\",\"data\":{\"n\":%" PRIu64 ",\"t\":%" PRIu64
                                   ",\"note\":\"",
                                   n, t);
  while (length < PAYLOAD_BYTES - sizeof tail) to[length++] = 'x';
  return length + (size_t)snprintf(to + length, size - length, "%s", tail);
}

static void add_publish(uint64_t t) {
  int channel = (int)(published_in_all++ % (uint64_t)options.channels);
  char name[16], payload[2 * PAYLOAD_BYTES];
  int name_length = snprintf(name, sizeof name, "c%d", channel);
  size_t payload_length = write_payload(payload, sizeof payload, ++published[channel], t);
  if (commands_length + 1024 > commands_size) {
    commands_size = 2 * commands_size + 65536;
    commands = realloc(commands, commands_size);
  }
  commands_length += (size_t)snprintf(commands + commands_length, commands_size - commands_length,
                                      "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%zu\r\n%s\r\n", name_length, name,
                                      payload_length, payload);
  expected += (uint64_t)(options.connections / options.channels);
}

static void send_publishes(void) {
  for (size_t sent = 0; sent < commands_length;) {
    ssize_t wrote = send(redis_fd, commands + sent, commands_length - sent, MSG_NOSIGNAL);
    if (wrote < 0) die("Redis: %s", strerror(errno));
    sent += (size_t)wrote;
  }
  commands_length = 0;
}

static void read_publish_replies(void) {
  static char replies[65536];
  ssize_t got = recv(redis_fd, replies, sizeof replies - 1, MSG_DONTWAIT);
  if (got <= 0) die("Redis closed the publisher's connection");
  replies[got] = 0;
  if (memchr(replies, '-', got)) die("Redis refused a PUBLISH: %s", replies);
  if (strstr(replies, ":0\r\n")) die("Redis has no subscriber: did the server lose its subscription?");
}

static void publish_what_is_due(uint64_t now) {
  static uint64_t due;
  if (options.rate > 0) {
    if (!due) due = now;
    for (; due <= now; due += seconds_ns(1 / options.rate)) add_publish(due);
  } else {
    uint64_t listeners = (uint64_t)(options.connections / options.channels);
    while (expected - delivered + listeners <= (uint64_t)options.window * listeners) add_publish(now);
  }
  send_publishes();
}

/* ---- the run ---- */

static void turn(int timeout_ms) {
  struct epoll_event events[256];
  int count = epoll_wait(epoll_fd, events, 256, timeout_ms);
  for (int i = 0; i < count; i++) {
    struct stream *stream = events[i].data.ptr;
    if (!stream) read_publish_replies();
    else if (stream->state == CONNECTING) send_request(stream);
    else read_stream(stream);
  }
}

static void open_all_streams(void) {
  uint64_t deadline = now_ns() + seconds_ns(CONNECT_TIMEOUT_S);
  while (ready < options.connections) {
    while (opened < options.connections && opened - ready < OPENING_AT_ONCE) open_stream(&streams[opened++]);
    turn(100);
    if (now_ns() > deadline) die("only %d of %d streams opened in %d s", ready, options.connections, CONNECT_TIMEOUT_S);
  }
}

static void stay_idle(double seconds) {
  for (uint64_t end = now_ns() + seconds_ns(seconds); now_ns() < end;) turn(10);
}

static void publish_for(double seconds) {
  uint64_t end = now_ns() + seconds_ns(seconds);
  for (uint64_t now = now_ns(); now < end; now = now_ns()) {
    publish_what_is_due(now);
    /* Sleeping is only as fine as a millisecond; a rate needs better, and has this core for itself. */
    turn(options.rate > 0 ? 0 : 1);
  }
}

static void drain(void) {
  uint64_t deadline = now_ns() + seconds_ns(DRAIN_TIMEOUT_S);
  while (delivered < expected && now_ns() < deadline) turn(5);
}

static void print_faults(void) {
  uint64_t missing = 0, duplicated = 0, reordered = 0;
  for (int i = 0; i < options.connections; i++) {
    struct stream *stream = &streams[i];
    missing += stream->missing + published[i % options.channels] - (stream->next - 1);
    duplicated += stream->duplicated;
    reordered += stream->reordered;
  }
  printf(",\"missing\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64 ",\"closed\":%d", missing,
         duplicated, reordered, closed);
}

static void run(void) {
  double memory = server_memory_kb();
  uint64_t started = now_ns();
  open_all_streams();
  printf("{\"connectsPerSecond\":%.0f", options.connections / ((double)(now_ns() - started) / 1e9));
  stay_idle(options.settle);
  printf(",\"idleKbPerConnection\":%.2f", (server_memory_kb() - memory) / options.connections);
  if (!options.idle) {
    publish_for(options.warmup);
    double cpu = server_cpu_s();
    measuring = true;
    started = now_ns();
    publish_for(options.seconds);
    measuring = false;
    double elapsed = (double)(now_ns() - started) / 1e9;
    cpu = server_cpu_s() - cpu;
    printf(",\"deliveriesPerSecond\":%.0f,\"serverCpu\":%.3f", (double)measured_deliveries / elapsed, cpu / elapsed);
    if (measured_deliveries) {
      printf(",\"cpuUsPerDelivery\":%.3f", cpu * 1e6 / (double)measured_deliveries);
      printf(",\"latencyP50Ms\":%.3f,\"latencyP99Ms\":%.3f", latency_ms(0.5), latency_ms(0.99));
    }
    drain();
  }
  print_faults();
  printf("}\n");
}

static void read_options(int count, char **arguments) {
  static const struct option names[] = {
      {"port", 1, 0, 'p'},     {"redis-port", 1, 0, 'r'}, {"pid", 1, 0, 'i'},     {"connections", 1, 0, 'n'},
      {"channels", 1, 0, 'k'}, {"window", 1, 0, 'w'},     {"rate", 1, 0, 'a'},    {"seconds", 1, 0, 's'},
      {"warmup", 1, 0, 'u'},   {"settle", 1, 0, 't'},     {"idle", 0, 0, 'd'},    {0}};
  for (int name; (name = getopt_long(count, arguments, "", names, 0)) != -1;) {
    switch (name) {
      case 'p': options.port = atoi(optarg); break;
      case 'r': options.redis_port = atoi(optarg); break;
      case 'i': options.pid = atoi(optarg); break;
      case 'n': options.connections = atoi(optarg); break;
      case 'k': options.channels = atoi(optarg); break;
      case 'w': options.window = atoi(optarg); break;
      case 'a': options.rate = atof(optarg); break;
      case 's': options.seconds = atof(optarg); break;
      case 'u': options.warmup = atof(optarg); break;
      case 't': options.settle = atof(optarg); break;
      case 'd': options.idle = true; break;
      default: exit(2);
    }
  }
  if (!options.port || !options.redis_port || !options.pid) die("--port, --redis-port and --pid are needed");
  if (!options.idle && options.window <= 0 && options.rate <= 0) die("say one of --window, --rate, --idle");
  if (options.connections < 1 || options.channels < 1 || options.connections % options.channels)
    die("--connections must be a multiple of --channels");
}

static void raise_open_file_limit(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < (rlim_t)options.connections + 64)
    die("%d connections need `ulimit -n %d`; the limit here is %" PRIu64, options.connections, options.connections + 64,
        (uint64_t)limit.rlim_max);
}

/* Resets instead of closing politely: thousands of ports in TIME_WAIT would hamper the next pass. */
static void reset_streams(void) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  for (int i = 0; i < options.connections; i++) {
    if (streams[i].state != READY) continue;
    setsockopt(streams[i].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(streams[i].fd);
  }
}

int main(int count, char **arguments) {
  read_options(count, arguments);
  raise_open_file_limit();
  streams = calloc((size_t)options.connections, sizeof *streams);
  published = calloc((size_t)options.channels, sizeof *published);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  redis_fd = connect_loopback(options.redis_port, 0);
  watch(EPOLL_CTL_ADD, redis_fd, EPOLLIN, NULL);
  run();
  reset_streams();
  return 0;
}
