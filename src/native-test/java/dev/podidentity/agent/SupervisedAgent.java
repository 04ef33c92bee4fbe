package dev.podidentity.agent;

import dev.podidentity.agent.badday.History.ClockError;
import dev.podidentity.agent.badday.History.Delay;
import dev.podidentity.agent.badday.History.Ending;
import dev.podidentity.agent.badday.History.Life;
import dev.podidentity.agent.badday.History.Sharing;
import dev.podidentity.agent.badday.History.Vitals;
import dev.podidentity.agent.badday.Trouble;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.stream.Stream;

/**
 * Runs the packaged agent like the kubelet: within its memory limit, if this machine has version 1 memory control groups,
 * and with a restart whenever it ends. Its clock can be changed if libfaketime is installed. Records when it ran, what it
 * used, and violations in its log.
 */
final class SupervisedAgent implements AutoCloseable {

    /** The limit in the manifest of the DaemonSet. */
    private static final long MEMORY_LIMIT = 160L << 20;
    /** The request in the manifest. */
    private static final long LITTLE_MEMORY = 40L << 20;
    private static final long MORE_MEMORY = 4L << 20;
    private static final Path CONTROL_GROUPS = Path.of("/sys/fs/cgroup/memory");
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final long SAMPLE_EVERY_MILLIS = 50;
    private static final int VITALS_EVERY = 20;
    /** The thread's name as truncated by the kernel. */
    private static final String EVENT_LOOP = "ntloop-thread";
    private static final String WRONG_SUBJECT = "EKS Auth returned credentials of another service account";

    private final Map<String, String> environment;
    private final List<String> flags;
    private final List<String> verifyingFlags;
    private final List<String> secrets;
    private final Path clock;
    private final LongSupplier now;
    private final Optional<Path> controlGroup;
    private final boolean clockMoves;
    private final boolean limitsDescriptors = hasPrlimit();
    private final List<Run> runs = new ArrayList<>();
    private final ConcurrentLinkedQueue<Delay> delays = new ConcurrentLinkedQueue<>();
    private final ConcurrentLinkedQueue<Vitals> vitals = new ConcurrentLinkedQueue<>();
    private final ConcurrentLinkedQueue<ClockError> clocks = new ConcurrentLinkedQueue<>();
    private final ConcurrentLinkedQueue<String> complaints = new ConcurrentLinkedQueue<>();
    private final PrintWriter log;
    private final ScheduledExecutorService sampler = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "sampler");
        thread.setDaemon(true);
        return thread;
    });
    private final Map<String, Long> waitedOf = new HashMap<>();
    private long waited;
    private int samples;
    private boolean closed;

    /**
     * @param directory the directory for the agent's clock
     * @param now the nanoseconds of the day
     * @param flags the agent's flags, whatever it shares
     * @param verifyingFlags further flags for token verification
     * @param secrets what the log must not contain
     * @param logFile receives the log, except for lines about single requests
     */
    SupervisedAgent(Path directory, LongSupplier now, Map<String, String> environment, List<String> flags,
            List<String> verifyingFlags, List<String> secrets, Path logFile) throws IOException {
        this.now = now;
        this.flags = flags;
        this.verifyingFlags = verifyingFlags;
        this.secrets = secrets;
        this.log = new PrintWriter(Files.newBufferedWriter(logFile));
        this.clock = Files.writeString(directory.resolve("clock"), "+0\n");
        Map<String, String> moved = ClockJumpIT.faketime(clock);
        this.clockMoves = !moved.isEmpty();
        this.environment = new LinkedHashMap<>(environment);
        this.environment.putAll(moved);
        this.controlGroup = makeControlGroup();
        // The day is long enough to be interrupted, which would leave the agent running.
        Runtime.getRuntime().addShutdownHook(new Thread(this::kill));
    }

    private synchronized void kill() {
        if (!closed) {
            closed = true;
            runs.forEach(run -> run.process.destroyForcibly());
            runs.forEach(run -> run.process.onExit().join());
            controlGroup.ifPresent(group -> group.toFile().delete());
        }
    }

    private static Optional<Path> makeControlGroup() {
        Path group = CONTROL_GROUPS.resolve("bad-day-" + ProcessHandle.current().pid());
        try {
            Files.createDirectory(group);
            Files.writeString(group.resolve("memory.limit_in_bytes"), Long.toString(MEMORY_LIMIT));
            return Optional.of(group);
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** Returns what this machine does not support. */
    List<String> missing() {
        List<String> missing = new ArrayList<>();
        if (!clockMoves) {
            missing.add("the clock does not jump: libfaketime is not installed");
        }
        if (controlGroup.isEmpty()) {
            missing.add("there is no memory limit: no control group can be made in " + CONTROL_GROUPS);
        }
        if (!limitsDescriptors) {
            missing.add("descriptors do not run out: there is no prlimit");
        }
        return missing;
    }

    /** Returns the faults that are possible on this machine. */
    Set<Trouble> possible() {
        Set<Trouble> possible = EnumSet.allOf(Trouble.class);
        if (!clockMoves) {
            possible.remove(Trouble.CLOCK_JUMPS);
        }
        if (controlGroup.isEmpty()) {
            possible.remove(Trouble.LITTLE_MEMORY);
        }
        if (!limitsDescriptors) {
            possible.remove(Trouble.NO_DESCRIPTORS);
        }
        return possible;
    }

    private static boolean hasPrlimit() {
        return Stream.of(System.getenv().getOrDefault("PATH", "").split(":"))
                .anyMatch(directory -> Files.isExecutable(Path.of(directory, "prlimit")));
    }

    /** Starts the agent, and waits until it listens. */
    synchronized void start(Sharing sharing) {
        Run run = new Run(sharing);
        runs.add(run);
        run.listens.orTimeout(PATIENCE.toSeconds(), TimeUnit.SECONDS).join();
        if (runs.size() == 1) {
            sampler.scheduleAtFixedRate(this::sample, 0, SAMPLE_EVERY_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    /** Stops the agent, and starts it again. */
    synchronized void restart(Ending how, Sharing sharing) {
        current().end(how);
        start(sharing);
    }

    private Run current() {
        return runs.get(runs.size() - 1);
    }

    /** Waits until the agent verifies tokens, if it should. */
    void awaitVerification() {
        Run run;
        synchronized (this) {
            run = current();
        }
        run.hasKeys.orTimeout(PATIENCE.toSeconds(), TimeUnit.SECONDS).join();
    }

    private synchronized void ended(Run run) {
        if (!closed && run == current() && run.ending == Ending.NOT_TOLD) {
            try {
                start(run.sharing);
            } catch (CompletionException e) {
                complaints.add("It did not start again: " + e.getMessage());
            }
        }
    }

    /** Returns what the agent shares now. */
    synchronized Sharing sharing() {
        return current().sharing;
    }

    synchronized long pid() {
        return current().process.pid();
    }

    /** Sets how far the agent's clock is ahead. */
    void setClock(Duration ahead) throws IOException {
        Files.writeString(clock, (ahead.isNegative() ? "" : "+") + ahead.toSeconds() + '\n');
        clocks.add(new ClockError(now.getAsLong(), ahead));
    }

    /** Lowers the memory limit as far as the kernel allows. */
    void limitMemory() throws IOException {
        for (long limit = LITTLE_MEMORY; limit < MEMORY_LIMIT; limit += MORE_MEMORY) {
            try {
                Files.writeString(controlGroup.orElseThrow().resolve("memory.limit_in_bytes"), Long.toString(limit));
                return;
            } catch (IOException e) {
                // More memory is in use that cannot be reclaimed.
            }
        }
    }

    /** Restores the memory limit of the manifest. */
    void restoreMemory() throws IOException {
        Files.writeString(controlGroup.orElseThrow().resolve("memory.limit_in_bytes"), Long.toString(MEMORY_LIMIT));
    }

    private void sample() {
        long pid = pid();
        try (Stream<Path> threads = Files.list(Path.of("/proc/" + pid + "/task"))) {
            for (Path thread : threads.toList()) {
                if (!Files.readString(thread.resolve("comm")).contains(EVENT_LOOP)) {
                    continue;
                }
                long waiting = Long.parseLong(Files.readString(thread.resolve("schedstat")).split(" ")[1]);
                Long before = waitedOf.put(thread.toString(), waiting);
                waited += before == null ? 0 : Math.max(0, waiting - before);
            }
            delays.add(new Delay(now.getAsLong(), waited));
            if (samples++ % VITALS_EVERY == 0) {
                vitals.add(vitals(pid));
            }
        } catch (IOException | UncheckedIOException e) {
            // The process or one of its threads has just ended.
            delays.add(new Delay(now.getAsLong(), waited));
        }
    }

    private Vitals vitals(long pid) throws IOException {
        List<String> status = Files.readAllLines(Path.of("/proc/" + pid + "/status"));
        return new Vitals(now.getAsLong(), value(status, "RssAnon"), descriptors(pid), value(status, "Threads"));
    }

    private static long descriptors(long pid) throws IOException {
        try (Stream<Path> descriptors = Files.list(Path.of("/proc/" + pid + "/fd"))) {
            return descriptors.count();
        }
    }

    /** Returns the number of open descriptors. */
    long descriptors() throws IOException {
        return descriptors(pid());
    }

    private static long value(List<String> status, String name) throws NoSuchFileException {
        return status.stream()
                .filter(line -> line.startsWith(name + ":"))
                .map(line -> Long.parseLong(line.replaceAll("\\D", "")))
                .findFirst()
                // The process has ended but has not been reaped.
                .orElseThrow(() -> new NoSuchFileException(name));
    }

    synchronized List<Life> lives() {
        return runs.stream().map(Run::life).toList();
    }

    List<Delay> delays() {
        return List.copyOf(delays);
    }

    List<Vitals> vitals() {
        return List.copyOf(vitals);
    }

    List<ClockError> clocks() {
        return List.copyOf(clocks);
    }

    /** Returns the violations in the log. */
    List<String> complaints() {
        return List.copyOf(complaints);
    }

    private void read(String line, Run run) {
        if (secrets.stream().anyMatch(line::contains) || AgentProcess.SECRET.matcher(line).find()) {
            complaints.add("a secret stands in a line of the log that begins with " + line.substring(0, Math.min(80, line.length())));
        }
        if (line.contains("\"level\":\"error\"") && !line.contains(WRONG_SUBJECT)) {
            complaints.add("an error: " + line);
        }
        if (AgentProcess.LISTENING.matcher(line).results().anyMatch(found -> found.group(1).equals("credentials"))) {
            run.ready = now.getAsLong();
            run.listens.complete(null);
        }
        if (line.contains("Signing keys loaded")) {
            run.hasKeys.complete(null);
        }
        if (!line.contains("\"level\":\"trace\"")) {
            log.println(line);
        }
    }

    /** Stops the agent, and waits until it has ended. */
    @Override
    public void close() throws IOException {
        Run last;
        synchronized (this) {
            closed = true;
            sampler.shutdownNow();
            last = current();
        }
        last.end(Ending.SIGTERM);
        log.close();
        if (controlGroup.isPresent()) {
            Files.delete(controlGroup.get());
        }
    }

    /** One process of the agent. */
    private final class Run {

        private final Sharing sharing;
        private final Process process;
        private final CompletableFuture<Void> listens = new CompletableFuture<>();
        private final CompletableFuture<Void> hasKeys = new CompletableFuture<>();
        private final CompletableFuture<Void> over = new CompletableFuture<>();
        private volatile long ready = Long.MAX_VALUE;
        private volatile Ending ending = Ending.NOT_TOLD;
        private volatile long told = Long.MAX_VALUE;
        private volatile long ended = Long.MAX_VALUE;

        Run(Sharing sharing) {
            this.sharing = sharing;
            List<String> command = new ArrayList<>();
            controlGroup.ifPresent(group -> command.addAll(
                    List.of("sh", "-c", "echo $$ > " + group.resolve("cgroup.procs") + " && exec \"$@\"", "sh")));
            command.addAll(AgentProcess.command());
            command.addAll(flags);
            if (sharing != Sharing.TOKEN) {
                command.addAll(verifyingFlags);
                command.addAll(List.of("--coalesce", sharing == Sharing.POD ? "pod" : "role"));
            } else {
                hasKeys.complete(null);
            }
            ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
            builder.environment().clear();
            builder.environment().putAll(environment);
            try {
                process = builder.start();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            AgentProcess.daemon("agent-output", this::readOutput);
        }

        private void readOutput() {
            try (BufferedReader lines =
                    new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    read(line, this);
                }
                process.waitFor();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            ended = now.getAsLong();
            listens.completeExceptionally(new IllegalStateException("The agent ended; see its log"));
            over.complete(null);
            SupervisedAgent.this.ended(this);
        }

        void end(Ending how) {
            ending = how;
            told = now.getAsLong();
            if (how == Ending.SIGTERM) {
                // process.destroy() would also close the output.
                process.toHandle().destroy();
            } else {
                process.toHandle().destroyForcibly();
            }
            over.orTimeout(PATIENCE.toSeconds(), TimeUnit.SECONDS).join();
        }

        Life life() {
            return new Life(
                    sharing,
                    ready,
                    ending,
                    Math.min(told, ended),
                    ended,
                    ended == Long.MAX_VALUE ? OptionalInt.empty() : OptionalInt.of(process.exitValue()));
        }
    }
}
