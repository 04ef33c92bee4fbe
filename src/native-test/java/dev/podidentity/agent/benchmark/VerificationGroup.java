package dev.podidentity.agent.benchmark;

import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.agent.testing.CrudApiServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** Tokens of one workload that are new to the agent, which verifies each of them instead of calling EKS Auth. */
final class VerificationGroup implements Group {

    private static final String KEYS = "/openid/v1/jwks";
    private static final int TOKENS = 4_000;
    private static final int WARM_UP = 1_000;
    private static final int AT_ONCE = 64;
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final double NANOS_PER_SECOND = 1e9;

    @Override
    public String name() {
        return "verification";
    }

    @Override
    public String title() {
        return "Verification of new tokens";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.TOKENS, Measure.P50, Measure.P99, Measure.CPU, Measure.RETRIES, Measure.FAILED, Measure.CALLS);
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException {
        Path serviceAccount = Files.createDirectories(bench.directory().resolve("service-account"));
        Files.deleteIfExists(serviceAccount.resolve("store.p12"));
        Files.writeString(serviceAccount.resolve("token"), bench.tokens().first(1).get(0));
        List<String> all = bench.tokens().first(WARM_UP + TOKENS);
        try (CrudApiServer api = new CrudApiServer(Certificates.make(serviceAccount, "ip:127.0.0.1").server())) {
            api.answer(KEYS, 200, bench.eksAuth().keys());
            try (RunningAgent agent = bench.starter(contender)
                            .flags("--token-verification", "jwks", "--api-server", api.url().toString(),
                                    "--service-account-path", serviceAccount.toString())
                            .serving(all.get(0));
                    Clients clients = new Clients(AT_ONCE)) {
                awaitVerification(agent, bench);
                clients.ask(agent.port(), all.subList(0, WARM_UP));
                recorder.add(Spread.number(TOKENS, 0) + " tokens with RS256, 64 clients",
                        verified(agent, clients, all.subList(WARM_UP, WARM_UP + TOKENS), bench));
            }
        }
    }

    /** Waits for verification: two pods of one service account then get the same credentials. */
    private static void awaitVerification(RunningAgent agent, Bench bench) throws IOException {
        long giveUp = System.nanoTime() + PATIENCE.toNanos();
        List<String> two;
        do {
            if (System.nanoTime() > giveUp) {
                throw new RunningAgent.DoesNotStart("it does not verify tokens");
            }
            two = bench.tokens().fresh(2);
        } while (!agent.answer(two.get(0)).body().equals(agent.answer(two.get(1)).body()));
    }

    private static Map<Measure, Double> verified(RunningAgent agent, Clients clients, List<String> tokens, Bench bench)
            throws IOException {
        bench.eksAuth().resetCalls();
        double before = agent.figures().cpuSeconds();
        long began = System.nanoTime();
        List<Clients.Served> served = clients.ask(agent.port(), tokens);
        double seconds = (System.nanoTime() - began) / NANOS_PER_SECOND;
        Map<Measure, Double> values = new EnumMap<>(bench.summary(served));
        values.put(Measure.CPU, Bench.per100000(agent.figures().cpuSeconds() - before, tokens.size()));
        values.put(Measure.TOKENS, tokens.size() / seconds);
        return values;
    }
}
