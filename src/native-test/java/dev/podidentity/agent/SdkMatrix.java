package dev.podidentity.agent;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.opentest4j.TestAbortedException;

/**
 * What the users of each AWS SDK observe, with and without faults: {@code mvn -Psdks}, as root, with the native executable
 * named by {@code agent.executable}. Asserts nothing, and writes tables to {@code target/sdks}, and with
 * {@code -Dsdks.page=docs/sdks.md} also into that page. What this machine cannot run is reported as not run.
 *
 * <p>Each SDK has its own namespaces, agent and emulated EKS Auth, so that several can run in parallel. Other properties:
 * {@code sdks.runs}, {@code sdks.lanes} (how many run in parallel), and regular expressions that select what runs:
 * {@code sdks.only} (SDKs), {@code sdks.cases}, {@code sdks.troubles}; {@code sdks.wire=false} omits what the SDKs send;
 * {@code sdks.agent-flags} are passed to the agent.
 */
public final class SdkMatrix {

    static final String[] AGENT_FLAGS =
            Stream.of(System.getProperty("sdks.agent-flags", "").split(" ")).filter(flag -> !flag.isEmpty()).toArray(String[]::new);

    private static final int RUNS = Integer.getInteger("sdks.runs", 3);
    private static final int LANES = Integer.getInteger("sdks.lanes", 2);
    private static final Path OUTPUT = Path.of("target", "sdks").toAbsolutePath();

    private final SdkReport report = new SdkReport();
    private final Map<Workload, List<String>> commands = new EnumMap<>(Workload.class);
    /** Fifty programs at once use the whole machine, so other SDKs wait. */
    private final ReadWriteLock machine = new ReentrantReadWriteLock(true);

    public static void main(String... args) throws Exception {
        long start = System.nanoTime();
        SdkMatrix matrix = new SdkMatrix();
        matrix.build();
        long built = System.nanoTime();
        matrix.run();
        matrix.write();
        System.out.printf("Building took %d s, running %d s%n",
                Duration.ofNanos(built - start).toSeconds(), Duration.ofNanos(System.nanoTime() - built).toSeconds());
    }

    private void build() {
        for (Workload workload : Workload.values()) {
            if (!matches("sdks.only").test(workload.title())) {
                report.notRun(workload, "not asked for");
                continue;
            }
            try {
                commands.put(workload, workload.command());
            } catch (TestAbortedException e) {
                report.notRun(workload, e.getMessage());
            }
        }
    }

    private void run() throws InterruptedException {
        ExecutorService lanes = Executors.newFixedThreadPool(LANES);
        try {
            Map<Workload, Future<?>> all = new EnumMap<>(Workload.class);
            commands.forEach((workload, command) -> all.put(workload, lanes.submit(() -> run(workload, command))));
            for (Map.Entry<Workload, Future<?>> one : all.entrySet()) {
                try {
                    one.getValue().get();
                } catch (ExecutionException e) {
                    // The reason is in the report, and the other SDKs continue.
                    report.notRun(one.getKey(), "to its end: " + e.getCause());
                    e.printStackTrace();
                }
            }
        } finally {
            lanes.shutdownNow();
        }
    }

    private Void run(Workload workload, List<String> command) throws IOException {
        Path directory = Files.createDirectories(OUTPUT.resolve(workload.name()));
        if (!"false".equals(System.getProperty("sdks.wire"))) {
            report.add(workload, alone(false, () -> SdkWire.observe(command, directory)));
        }
        try (SdkLane lane = new SdkLane(workload, command, directory, report)) {
            for (SdkCase which : Stream.of(SdkCase.values()).filter(named("sdks.cases")).toList()) {
                boolean fifty = which == SdkCase.FIFTY_COLD || which == SdkCase.FIFTY_HIT;
                // Fifty pods at once, or five seconds of requests, already count as many runs.
                for (int run = 0; run < (fifty || which == SdkCase.EXPIRING ? 1 : RUNS); run++) {
                    alone(fifty, () -> {
                        lane.run(which);
                        return null;
                    });
                }
            }
            for (SdkTrouble trouble : Stream.of(SdkTrouble.values()).filter(named("sdks.troubles")).toList()) {
                alone(false, () -> {
                    lane.run(trouble);
                    return null;
                });
            }
        } catch (TestAbortedException e) {
            report.notRun(workload, e.getMessage());
        }
        System.out.println(workload.title() + " is done");
        return null;
    }

    private interface Step<T> {
        T run() throws IOException;
    }

    private <T> T alone(boolean alone, Step<T> step) throws IOException {
        Lock lock = alone ? machine.writeLock() : machine.readLock();
        lock.lock();
        try {
            return step.run();
        } finally {
            lock.unlock();
        }
    }

    private static Predicate<String> matches(String property) {
        return Pattern.compile(System.getProperty(property, ".*")).asMatchPredicate();
    }

    private static Predicate<Enum<?>> named(String property) {
        return value -> matches(property).test(value.name());
    }

    private void write() throws IOException {
        Map<String, String> parts = new LinkedHashMap<>();
        parts.put("versions", report.versions());
        parts.put("matrix", report.matrix());
        parts.put("quotes", report.quotes());
        parts.put("wire", report.wires());
        for (Map.Entry<String, String> part : parts.entrySet()) {
            Files.writeString(OUTPUT.resolve(part.getKey() + ".md"), part.getValue());
            System.out.println(part.getValue());
        }
        Files.writeString(OUTPUT.resolve("attempts.csv"), report.csv());
        String page = System.getProperty("sdks.page", "");
        if (!page.isEmpty()) {
            Files.writeString(Path.of(page), SdkReport.into(Files.readString(Path.of(page)), parts));
        }
    }
}
