package dev.podidentity.agent;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.ConnectException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.ToLongFunction;

/**
 * Measures what the agent takes of a node: {@code mvn -Pfootprint}, with the native executable of {@code agent.executable}.
 * Asserts nothing. Each run is a new process that goes through all states; the figures are medians over the runs.
 *
 * <p>Of the resident memory, the private part (anonymous pages, {@code RssAnon}) is this process's alone; the rest is
 * pages of the executable's file, which the kernel can drop and all processes of one image share. The client and the
 * emulated EKS Auth run in this process.
 */
public final class Footprint {

    private static final int RUNS = Integer.getInteger("footprint.runs", 10);
    private static final int TOKENS = 2_000;
    private static final int CONNECTIONS = 64;
    private static final int REQUESTS = 100_000;
    private static final int SAMPLE_EVERY = 1_000;
    /** The agent unmaps what it does not use every 5 s; see docs/decisions/0007-footprint.md. */
    private static final long SETTLE_MILLIS = Long.getLong("footprint.settle-millis", 6_000);
    /** /proc counts in KiB; the figures are in MB of a million bytes. */
    private static final double KIB_PER_MB = 1e6 / 1024;
    private static final double BYTES_PER_MB = 1e6;
    private static final int LOWEST_PORT = 20_000;
    private static final int HIGHEST_PORT = 30_000;
    private static final long WAIT_NANOS = TimeUnit.MICROSECONDS.toNanos(250);

    private enum State {
        IDLE("idle"),
        ONE_REQUEST("just after one request"),
        ONE_REQUEST_SETTLED("6 s later"),
        CACHED("just after 2,000 identities were cached"),
        CACHED_SETTLED("6 s later, 2,000 identities cached"),
        LOAD("under load, 64 connections"),
        LOAD_PEAK("its peak"),
        HALF("after 50,000 requests"),
        ALL("after 100,000 requests");

        private final String title;

        State(String title) {
            this.title = title;
        }
    }

    /** Pages of a process in memory, in KiB. */
    private record Memory(long resident, long anonymous, long threads) {

        static Memory of(long pid) {
            try {
                List<String> status = Files.readAllLines(Path.of("/proc/" + pid + "/status"));
                return new Memory(value(status, "VmRSS"), value(status, "RssAnon"), value(status, "Threads"));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private static long value(List<String> status, String name) {
            return status.stream()
                    .filter(line -> line.startsWith(name + ":"))
                    .map(line -> line.replaceAll("\\D", ""))
                    .mapToLong(Long::parseLong)
                    .findFirst()
                    .orElseThrow();
        }
    }

    private final EksAuthEmulator emulator;
    private final Map<State, List<Memory>> figures = new EnumMap<>(State.class);
    private final List<Long> firstAnswers = new ArrayList<>();

    private Footprint(EksAuthEmulator emulator) {
        this.emulator = emulator;
    }

    public static void main(String... args) throws Exception {
        Path executable = Path.of(System.getProperty("agent.executable"));
        try (EksAuthEmulator emulator = Emulators.start()) {
            Footprint footprint = new Footprint(emulator);
            // The first ones warm the page cache, the emulator and this JVM.
            for (int run = -3; run < RUNS; run++) {
                long micros = footprint.firstAnswer(executable);
                if (run >= 0) {
                    footprint.firstAnswers.add(micros);
                }
            }
            for (int run = 0; run < RUNS; run++) {
                footprint.states();
            }
            footprint.print(executable);
        }
    }

    /** Microseconds from exec to the first credentials, asked for again every quarter of a millisecond. */
    private long firstAnswer(Path executable) throws IOException, InterruptedException {
        String token = Emulators.token(emulator, "pod-first");
        int port = freePort();
        Path output = Files.createTempFile("footprint", ".log");
        ProcessBuilder builder = new ProcessBuilder(
                        "sh", "-c", "date +%s%N; exec \"$@\"", "sh", executable.toString(),
                        "server", "--cluster-name", emulator.clusterName(), "--endpoint", emulator.endpoint().toString(),
                        "--bind-hosts", AgentProcess.LOOPBACK, "--port", String.valueOf(port), "--probe-port", "0",
                        "--metrics-address", AgentProcess.LOOPBACK, "--metrics-port", "0")
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().clear();
        builder.environment().putAll(AgentProcess.environment(emulator));
        Process process = builder.start();
        try {
            while (!answers(port, token)) {
                if (!process.isAlive()) {
                    throw new IllegalStateException("The agent ended: " + Files.readString(output));
                }
                LockSupport.parkNanos(WAIT_NANOS);
            }
            long answered = ChronoUnit.NANOS.between(Instant.EPOCH, Instant.now());
            long executed = Long.parseLong(Files.readAllLines(output).get(0));
            return TimeUnit.NANOSECONDS.toMicros(answered - executed);
        } finally {
            process.destroy();
            process.waitFor();
            Files.delete(output);
        }
    }

    /** Below the ports that clients get: a client that tries and tries would in the end connect to itself there. */
    static int freePort() throws IOException {
        for (int port = LOWEST_PORT; ; port++) {
            try (ServerSocket socket = new ServerSocket(port)) {
                return socket.getLocalPort();
            } catch (BindException e) {
                if (port == HIGHEST_PORT) {
                    throw e;
                }
            }
        }
    }

    private static boolean answers(int port, String token) throws IOException {
        try (RawHttp http = new RawHttp(port)) {
            return http.send(RawHttp.request(token)).answer().status() == 200;
        } catch (ConnectException e) {
            return false;
        }
    }

    private void states() throws Exception {
        try (AgentProcess agent = AgentProcess.start(emulator, "--verbosity", "info", "--max-cache-size", "2000")) {
            Thread.sleep(SETTLE_MILLIS);
            note(State.IDLE, agent);
            ask(agent, 1, 1, i -> Emulators.token(emulator, "pod-one"));
            note(State.ONE_REQUEST, agent);
            Thread.sleep(SETTLE_MILLIS);
            note(State.ONE_REQUEST_SETTLED, agent);
            List<String> tokens = new ArrayList<>();
            for (int i = 0; i < TOKENS; i++) {
                tokens.add(Emulators.token(emulator, "pod-" + i));
            }
            ask(agent, 8, TOKENS, tokens::get);
            note(State.CACHED, agent);
            Thread.sleep(SETTLE_MILLIS);
            note(State.CACHED_SETTLED, agent);
            load(agent, tokens);
        }
    }

    private void load(AgentProcess agent, List<String> tokens) throws Exception {
        List<Memory> samples = new ArrayList<>();
        AtomicInteger asked = new AtomicInteger();
        ask(agent, CONNECTIONS, REQUESTS, i -> {
            int count = asked.incrementAndGet();
            if (count % SAMPLE_EVERY == 0) {
                Memory sample = Memory.of(agent.pid());
                synchronized (samples) {
                    samples.add(sample);
                }
                if (count == REQUESTS / 2) {
                    figures.computeIfAbsent(State.HALF, key -> new ArrayList<>()).add(sample);
                }
            }
            return tokens.get(i % tokens.size());
        });
        note(State.ALL, agent);
        synchronized (samples) {
            figures.computeIfAbsent(State.LOAD, key -> new ArrayList<>()).add(median(samples));
            figures.computeIfAbsent(State.LOAD_PEAK, key -> new ArrayList<>()).add(new Memory(
                    samples.stream().mapToLong(Memory::resident).max().orElseThrow(),
                    samples.stream().mapToLong(Memory::anonymous).max().orElseThrow(),
                    samples.stream().mapToLong(Memory::threads).max().orElseThrow()));
        }
    }

    private interface Tokens {
        String get(int request);
    }

    private static void ask(AgentProcess agent, int connections, int requests, Tokens tokens) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(connections);
        AtomicInteger next = new AtomicInteger();
        try {
            List<CompletableFuture<Void>> all = new ArrayList<>();
            for (int i = 0; i < connections; i++) {
                all.add(CompletableFuture.runAsync(() -> {
                    try (RawHttp http = new RawHttp(agent.port())) {
                        for (int request = next.getAndIncrement(); request < requests; request = next.getAndIncrement()) {
                            int status;
                            do {
                                status = http.send(RawHttp.request(tokens.get(request))).answer().status();
                            } while (status == 503);
                            if (status != 200) {
                                throw new IllegalStateException("answered " + status);
                            }
                        }
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                }, threads));
            }
            CompletableFuture.allOf(all.toArray(CompletableFuture[]::new)).get(5, TimeUnit.MINUTES);
        } finally {
            threads.shutdownNow();
        }
    }

    private void note(State state, AgentProcess agent) {
        figures.computeIfAbsent(state, key -> new ArrayList<>()).add(Memory.of(agent.pid()));
    }

    private void print(Path executable) throws IOException {
        System.out.printf("executable %.1f MB; exec to the first 200: median %.1f, fastest %.1f, slowest %.1f ms of %d%n",
                Files.size(executable) / BYTES_PER_MB, median(firstAnswers, value -> value) / 1e3,
                firstAnswers.stream().mapToLong(value -> value).min().orElseThrow() / 1e3,
                firstAnswers.stream().mapToLong(value -> value).max().orElseThrow() / 1e3, firstAnswers.size());
        System.out.println("| state | resident MB | private MB | threads |\n| --- | ---: | ---: | ---: |");
        figures.forEach((state, memories) -> {
            Memory memory = median(memories);
            System.out.printf("| %s | %.1f | %.1f | %d |%n",
                    state.title, memory.resident() / KIB_PER_MB, memory.anonymous() / KIB_PER_MB, memory.threads());
        });
    }

    private static Memory median(List<Memory> memories) {
        return new Memory(
                median(memories, Memory::resident),
                median(memories, Memory::anonymous),
                median(memories, Memory::threads));
    }

    private static <T> long median(List<T> values, ToLongFunction<T> figure) {
        List<Long> sorted = values.stream().map(figure::applyAsLong).sorted().toList();
        return sorted.get(sorted.size() / 2);
    }
}
