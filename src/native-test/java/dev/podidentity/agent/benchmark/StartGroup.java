package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** The time from exec to the first credentials, with the executable in the page cache. */
final class StartGroup implements Group {

    private static final String STARTED = "exec to the first 200";
    /** A start is short, and varies more than a run of seconds. */
    private static final int STARTS_PER_RUN = 10;
    private static final long PAUSE_NANOS = TimeUnit.MICROSECONDS.toNanos(250);
    private static final double NANOS_PER_MILLI = 1e6;

    @Override
    public String name() {
        return "start";
    }

    @Override
    public String title() {
        return "Start";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.FIRST, Measure.CPU_MILLIS);
    }

    @Override
    public List<Plot> plots(Results results) {
        return List.of(Plot.of(
                "start", "From exec to the first credentials", "", "ms", Plot.Form.BARS, name(), results, List.of(
                        new Plot.Case(Plot.Place.of("time"), STARTED, Measure.FIRST),
                        new Plot.Case(Plot.Place.of("processor time"), STARTED, Measure.CPU_MILLIS))));
    }

    @Override
    public int rounds(Settings settings) {
        return settings.runs() * STARTS_PER_RUN;
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException {
        String token = bench.tokens().first(1).get(0);
        try (RunningAgent agent = bench.starter(contender).stamped().launch()) {
            while (!agent.answers(token)) {
                if (!agent.isAlive()) {
                    throw new RunningAgent.DoesNotStart("it does not serve");
                }
                LockSupport.parkNanos(PAUSE_NANOS);
            }
            long answered = ChronoUnit.NANOS.between(Instant.EPOCH, Instant.now());
            double cpu = agent.figures().cpuMillisOfThreads();
            long executed = Long.parseLong(Files.readAllLines(bench.directory().resolve("agent.log")).get(0));
            recorder.add(STARTED, Map.of(
                    Measure.FIRST, (answered - executed) / NANOS_PER_MILLI, Measure.CPU_MILLIS, cpu));
        }
    }
}
