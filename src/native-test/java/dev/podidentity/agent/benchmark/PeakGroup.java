package dev.podidentity.agent.benchmark;

import dev.podidentity.agent.HostileConnections;
import java.io.IOException;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * The peak memory of one process under successive loads and attacks, as a basis for the requests and limits of its
 * container.
 */
final class PeakGroup implements Group {

    private static final int IDENTITIES = 2_000;
    private static final int CONNECTIONS = 1_000;
    private static final int CLIENTS = 3_000;
    private static final int SOURCES = 100;
    private static final int EKS_AUTH_MILLIS = 50;
    private static final String HOSTILE = "127.0.0.2";
    private static final String ALSO_HOSTILE = "127.0.0.3";
    private static final long SAMPLE_MILLIS = 20;

    @Override
    public String name() {
        return "peak";
    }

    @Override
    public String title() {
        return "The most memory, case after case in one process";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.WORKING_SET, Measure.ANONYMOUS, Measure.RESIDENT);
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException {
        List<String> cached = bench.tokens().first(IDENTITIES);
        String token = cached.get(0);
        try (ControlGroup group = ControlGroup.make();
                RunningAgent agent = bench.starter(contender).in(group).serving(token)) {
            Peaks peaks = new Peaks(agent, group, recorder);
            peaks.during("2,000 identities that come", () -> bench.fill(agent, IDENTITIES));
            peaks.during("load of 1,000 connections, 2,000 identities", () -> bench.load(agent, Load.of(CONNECTIONS), IDENTITIES));
            List<String> asked = IntStream.range(0, CLIENTS).mapToObj(i -> cached.get(i % IDENTITIES)).toList();
            peaks.during("a burst of 3,000 clients, cached", () -> burst(agent, asked));
            bench.eksAuth().delay(EKS_AUTH_MILLIS);
            List<String> fresh = bench.tokens().fresh(CLIENTS);
            peaks.during("a burst of 3,000 clients, new tokens", () -> burst(agent, fresh));
            bench.eksAuth().delay(0);
            int port = agent.port();
            peaks.hostile("100 heads in little pieces", hostile -> hostile.sendHeadersInLittlePieces(port, 100, HOSTILE));
            peaks.hostile("800 forged tokens in large heads", hostile -> hostile.sendForgedTokens(port, 800, token, HOSTILE));
            peaks.hostile("200 connections that read no answer",
                    hostile -> hostile.readNoAnswers(port, 100, token, HOSTILE, ALSO_HOSTILE));
            peaks.hostile("2,000 heads that never end", hostile -> hostile.finishNoHeads(port, 1_000, HOSTILE, ALSO_HOSTILE));
            peaks.hostile("40,000 connections that are reset", hostile -> hostile.resetAtOnce(port, 40_000, token, HOSTILE));
            recorder.add("all of it", peaks.all);
        } finally {
            bench.eksAuth().delay(0);
        }
    }

    private static void burst(RunningAgent agent, List<String> tokens) {
        try (Clients clients = new Clients(CLIENTS, IntStream.rangeClosed(1, SOURCES).mapToObj(i -> "127.0.1." + i).toList())) {
            clients.ask(agent.port(), tokens);
        }
    }

    private interface Work {
        void run() throws IOException, InterruptedException;
    }

    private interface Attack {
        void run(HostileConnections hostile) throws IOException;
    }

    /** Samples figures while an action runs, and keeps the maximum. */
    private static final class Peaks {

        private final RunningAgent agent;
        private final ControlGroup group;
        private final Recorder recorder;
        private final Map<Measure, Double> all = new EnumMap<>(Measure.class);

        Peaks(RunningAgent agent, ControlGroup group, Recorder recorder) {
            this.agent = agent;
            this.group = group;
            this.recorder = recorder;
        }

        void hostile(String variant, Attack attack) throws IOException, InterruptedException {
            try (HostileConnections hostile = new HostileConnections()) {
                during(variant, () -> attack.run(hostile));
            }
        }

        void during(String variant, Work work) throws IOException, InterruptedException {
            CountDownLatch done = new CountDownLatch(1);
            ExecutorService sampler = Executors.newSingleThreadExecutor();
            try {
                Future<Map<Measure, Double>> peak = sampler.submit(() -> sampleUntil(done));
                try {
                    work.run();
                } finally {
                    done.countDown();
                }
                Map<Measure, Double> most = peak.get();
                recorder.add(variant, most);
                most.forEach((measure, value) -> all.merge(measure, value, Math::max));
            } catch (ExecutionException e) {
                throw new IOException("The memory of the agent cannot be read", e.getCause());
            } finally {
                sampler.shutdown();
            }
        }

        private Map<Measure, Double> sampleUntil(CountDownLatch done) throws IOException, InterruptedException {
            Map<Measure, Double> most = new EnumMap<>(Measure.class);
            boolean last = false;
            while (!last) {
                last = done.await(SAMPLE_MILLIS, TimeUnit.MILLISECONDS);
                most.merge(Measure.WORKING_SET, group.usage().workingSet(), Math::max);
                most.merge(Measure.ANONYMOUS, agent.figures().anonymousMegabytes(), Math::max);
                most.merge(Measure.RESIDENT, agent.figures().residentMegabytes(), Math::max);
            }
            return most;
        }
    }
}
