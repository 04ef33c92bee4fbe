package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** A full node whose pods all send requests at once, each over a new connection. */
final class BurstGroup implements Group {

    private static final int CLIENTS = 3_000;
    private static final int SOURCES = 100;
    private static final int IDENTITIES = 2_000;
    private static final int EKS_AUTH_MILLIS = 50;

    @Override
    public String name() {
        return "burst";
    }

    @Override
    public String title() {
        return "A burst of 3,000 clients from 100 sources";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.P50, Measure.P99, Measure.LAST, Measure.RETRIES, Measure.FAILED, Measure.CALLS,
                Measure.RESIDENT, Measure.ANONYMOUS);
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException {
        List<String> cached = bench.tokens().first(IDENTITIES);
        List<String> asked = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
            asked.add(cached.get(i % cached.size()));
        }
        try (RunningAgent agent = bench.starter(contender).serving(cached.get(0))) {
            bench.fill(agent, IDENTITIES);
            burst("2,000 identities that are cached", agent, asked, bench, recorder);
            bench.eksAuth().delay(EKS_AUTH_MILLIS);
            List<String> fresh = bench.tokens().fresh(CLIENTS);
            burst("3,000 new tokens, EKS Auth takes " + EKS_AUTH_MILLIS + " ms", agent, fresh, bench, recorder);
        } finally {
            bench.eksAuth().delay(0);
        }
    }

    private static void burst(String variant, RunningAgent agent, List<String> tokens, Bench bench, Recorder recorder)
            throws IOException {
        bench.eksAuth().resetCalls();
        try (Clients clients = new Clients(CLIENTS, IntStream.rangeClosed(1, SOURCES).mapToObj(i -> "127.0.1." + i).toList())) {
            recorder.add(variant, bench.withMemory(agent, bench.summary(clients.ask(agent.port(), tokens))));
        }
    }
}
