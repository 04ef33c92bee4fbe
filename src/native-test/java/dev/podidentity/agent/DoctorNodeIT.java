package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code doctor} on a node, in a network namespace in which each fault is real. */
class DoctorNodeIT {

    private static final String LINK = "pod-id-link0";
    private static final String IMDS = "169.254.169.254";

    private final List<AutoCloseable> opened = new ArrayList<>();
    private NodeAndPod place;
    private NetworkNamespace node;

    @TempDir
    private Path directory;

    @BeforeEach
    void start() {
        place = NodeAndPod.create();
        opened.add(place);
        node = place.node();
        node.ip("link set lo up");
    }

    @AfterEach
    void stop() throws Exception {
        for (int i = opened.size() - 1; i >= 0; i--) {
            opened.get(i).close();
        }
    }

    @Test
    void findsNothingWrongWithANodeThatServes() {
        // Given
        place.initialize();
        AgentProcess agent = serve();

        // When
        Diagnosis diagnosis = diagnose();
        AgentProcess text = AgentProcess.run(node.inside(executable()), AgentProcess.environment(place.emulator()), "doctor");

        // Then
        assertThat(diagnosis.troubles()).isEmpty();
        assertThat(diagnosis.exitCode()).isZero();
        assertThat(diagnosis.of("address")).hasSize(2).allMatch(line -> line.startsWith("ok: "));
        assertThat(diagnosis.of("port")).hasSize(4).allMatch(line -> line.contains("(process " + agent.pid() + ")"));
        assertThat(diagnosis.of("permission")).containsExactly(
                "ok: The agent is allowed to call EKS Auth, which rejected a made-up token (InvalidTokenException)");
        assertThat(diagnosis.of("health")).containsExactly("ok: The agent is alive and ready");
        assertThat(diagnosis.of("limits")).singleElement().asString().startsWith("ok: No limit was reached");
        assertThat(text.awaitExit()).isZero();
        assertThat(text.output()).allMatch(line -> line.startsWith("ok    ") || line.startsWith("skip  "))
                .anyMatch(line -> line.equals("ok    health              The agent is alive and ready"));
    }

    /** Returns what breaks a working node, the check that detects it, and what the check reports. */
    static Stream<Arguments> faults() {
        return Stream.of(
                fault("link set " + LINK + " down", "link", "fail: The link " + LINK + " is down. Run"),
                fault("address delete 169.254.170.23/32 dev " + LINK, "address",
                        "fail: 169.254.170.23 is not an address of this node. Run"),
                fault("address delete fd00:ec2::23/128 dev " + LINK, "address",
                        "warn: fd00:ec2::23 is not an address of this node, which has IPv6. Run"),
                fault("address add 169.254.170.23/32 dev other0", "address",
                        "fail: 169.254.170.23/32 is an address of other0; pods reach another process",
                        "ip address delete 169.254.170.23/32 dev other0"),
                fault("route delete 169.254.170.23 dev " + LINK, "route",
                        "warn: There is no route to 169.254.170.23 in the main table. Run"),
                fault("route add 169.254.170.23 dev other0 metric 5", "route", "leads elsewhere",
                        "ip route delete 169.254.170.23 dev other0"),
                fault("route add blackhole 169.254.170.23 metric 5", "route", "leads elsewhere",
                        "ip route delete blackhole 169.254.170.23"));
    }

    private static Arguments fault(String done, String check, String... reported) {
        return Arguments.of(done, check, reported);
    }

    @ParameterizedTest
    @MethodSource("faults")
    void findsWhatIsWrongWithTheLinkAndNamesTheRemedy(String done, String check, String... reported) {
        // Given
        node.ip("link add " + LINK + " type bridge");
        node.ip("link add other0 type bridge");
        node.ip("link set other0 up");
        place.initialize();
        serve();
        assertThat(diagnose().troubles()).singleElement().asString().contains("link: warn", "not a dummy link (type bridge)");

        // When
        node.ip(done);

        // Then
        List<String> lines = diagnose().of(check);
        assertThat(lines).anySatisfy(line -> assertThat(line).contains(reported));

        // When: the remedies that the lines name are applied
        lines.stream().filter(line -> line.contains(": ip ")).map(line -> line.substring(line.indexOf(": ip ") + 5)).forEach(node::ip);
        place.initialize();

        // Then
        assertThat(diagnose().of(check)).allMatch(line -> line.startsWith("ok: ") || line.contains("not a dummy link"));
    }

    @Test
    void findsThatNodeAndAgentWereNeverSetUp() {
        Diagnosis diagnosis = diagnose();

        assertThat(diagnosis.exitCode()).isEqualTo(2);
        assertThat(diagnosis.of("link")).singleElement().asString().startsWith("fail: There is no link " + LINK + ". Run");
        assertThat(diagnosis.of("port")).hasSize(4).allMatch(line -> line.startsWith("fail: ") && line.contains("listens on"));
        assertThat(diagnosis.of("health")).singleElement().asString().startsWith("fail: ").contains("127.0.0.1:2703");
    }

    /** The image links {@code /go-runner} to the executable. */
    @ParameterizedTest
    @CsvSource({"go-runner", "pod-identity"})
    void findsTheAgentUnderAnotherName(String name) throws IOException {
        // Given
        place.initialize();
        serveOnAnotherNode();
        List<String> command = new ArrayList<>(node.inside(
                Files.createSymbolicLink(directory.resolve(name), Path.of(executable())).toString()));
        if (name.equals("go-runner")) {
            command.add("/eks-pod-identity-agent");
        }
        AgentProcess agent = AgentProcess.run(command, AgentProcess.environment(place.emulator()),
                "-v", "trace", "server", "-c", place.emulator().clusterName(),
                "--endpoint", "http://" + place.eksAuthAddress() + ":" + place.port(), "--probe-port", "2713");
        opened.add(agent);
        NodeAndPod.awaitReady(agent);

        // When
        Diagnosis diagnosis = diagnose();

        // Then
        assertThat(diagnosis.troubles()).isEmpty();
        assertThat(diagnosis.of("port")).hasSize(4).allMatch(line -> line.startsWith("ok: " + name + " (process " + agent.pid() + ")"));
        assertThat(diagnosis.of("port")).anyMatch(line -> line.endsWith("127.0.0.1:2713"));
    }

    /** As kind does, where each node is a container of one machine. */
    private void serveOnAnotherNode() {
        NetworkNamespace other = NetworkNamespace.create();
        opened.add(other);
        other.ip("link set lo up");
        AgentProcess agent = AgentProcess.run(other.inside(executable()), AgentProcess.environment(place.emulator()),
                "server", "-c", "other", "--bind-hosts", "127.0.0.1", "--probe-port", "2714");
        opened.add(agent);
        agent.awaitLine(line -> line.contains("\"msg\":\"Started\""));
    }

    @Test
    void namesTheOtherProcessThatHasThePort() throws IOException {
        // Given
        place.initialize();
        Path other = Files.copy(Path.of(executable()), directory.resolve("other-server"));
        List<String> command = node.inside(other.toString());
        AgentProcess process = AgentProcess.run(command, AgentProcess.environment(place.emulator()),
                "server", "-c", "other", "--probe-port", "0", "--metrics-port", "0");
        opened.add(process);
        process.awaitLine(line -> line.contains("\"listener\":\"credentials\",\"address\":\"169.254.170.23:80\""));

        assertThat(diagnose().of("port")).anySatisfy(line -> assertThat(line).startsWith("fail: ").contains(
                "other-server (process " + process.pid() + ")", "169.254.170.23:80"));
    }

    @Test
    void reportsWhatTheAgentItselfSaysIsMissing() {
        // Given
        place.initialize();
        AgentProcess agent = AgentProcess.run(node.inside(executable()),
                Map.of("AWS_REGION", place.emulator().region(), "AWS_EC2_METADATA_DISABLED", "true"),
                "server", "-c", place.emulator().clusterName(), "--startup-grace", "0");
        opened.add(agent);
        agent.awaitLine(line -> line.contains("own AWS credentials cannot be found"));

        assertThat(diagnose().of("health")).singleElement().asString()
                .startsWith("fail: The agent is alive, but").contains("credentials");
    }

    @Test
    void acceptsANodeWithoutIpv6() {
        // Given
        node.set("net/ipv6/conf/all/disable_ipv6", 1);
        node.set("net/ipv6/conf/default/disable_ipv6", 1);
        place.initialize();
        AgentProcess agent = place.launchAgent();
        opened.add(agent);
        agent.awaitLine(line -> line.contains("\"msg\":\"Listening\"") && line.contains("169.254.170.23:80"));
        agent.awaitLine(line -> line.contains("own AWS credentials were found"));

        Diagnosis diagnosis = diagnose();

        assertThat(diagnosis.troubles()).isEmpty();
        assertThat(diagnosis.of("ipv6")).singleElement().asString().startsWith("ok: This node has no IPv6");
    }

    @Test
    void findsThatEksAuthCannotBeReached() {
        // Given
        place.initialize();
        serve();
        place.refuseConnections();

        Diagnosis diagnosis = diagnose();

        assertThat(diagnosis.exitCode()).isEqualTo(2);
        assertThat(diagnosis.of("eks-auth")).singleElement().asString()
                .startsWith("fail: EKS Auth at " + place.eksAuthAddress()).contains("security groups");
        assertThat(diagnosis.of("clock")).singleElement().asString().startsWith("skip: ");
    }

    @Test
    void namesTheSourceThatALimitHasRejected() throws IOException {
        // Given
        place.initialize();
        AgentProcess agent = place.launchAgent("--source-requests-per-second", "1", "--source-request-burst", "1");
        opened.add(agent);
        NodeAndPod.awaitReady(agent);
        String token = Emulators.token(place.emulator(), "pod-1");
        for (int i = 0; i < 5; i++) {
            NetworkNamespace.execute(place.pod().inside("curl", "--silent", "--max-time", "5", "--header",
                    "Authorization: " + token, "http://169.254.170.23/v1/credentials"));
        }

        // When
        Diagnosis diagnosis = diagnose();

        // Then
        assertThat(diagnosis.exitCode()).isEqualTo(1);
        assertThat(diagnosis.of("limits")).anySatisfy(line -> assertThat(line).startsWith("warn: ").contains("source_requests"));
        assertThat(diagnosis.of("cache"))
                .anySatisfy(line -> assertThat(line).startsWith("warn: ").contains(NodeAndPod.POD))
                .anySatisfy(line -> assertThat(line).startsWith("ok: The cache holds 1 identity").contains(
                        Emulators.NAMESPACE + "/" + Emulators.SERVICE_ACCOUNT + " of pod pod-1"));
    }

    /** The hop limit is the time to live of the packets that IMDS sends. */
    @ParameterizedTest
    @CsvSource({"1,false,0", "2,false,1", "64,false,1", "1,true,1"})
    void seesHowFarImdsReaches(int hopLimit, boolean versionOne, int exitCode) throws IOException {
        // Given
        place.initialize();
        imds(hopLimit, versionOne);
        Map<String, String> environment = Map.of();
        AgentProcess agent = AgentProcess.run(node.inside(executable()), environment,
                "server", "-c", place.emulator().clusterName(), "--endpoint", "http://" + place.eksAuthAddress() + ":" + place.port());
        opened.add(agent);
        agent.awaitLine(line -> line.contains("own AWS credentials were found"));

        // When
        Diagnosis diagnosis = Diagnosis.of(node.inside(executable()), environment, List.of(place.emulator().secretAccessKey()));

        // Then
        assertThat(diagnosis.of("region")).singleElement().asString().startsWith("ok: ").contains("IMDSv2");
        assertThat(diagnosis.of("credentials")).singleElement().asString().startsWith("ok: ").contains("IMDSv2");
        assertThat(diagnosis.of("imds")).first().isEqualTo("ok: IMDSv2 responds to this node");
        assertThat(diagnosis.of("imds").get(1)).startsWith(hopLimit == 1 ? "ok: The hop limit of IMDS is 1" : "warn: The hop"
                + " limit");
        assertThat(diagnosis.of("imds").stream().anyMatch(line -> line.startsWith("warn: IMDSv1"))).isEqualTo(versionOne);
        assertThat(diagnosis.troubles()).as("all but IMDS is as it should be").allMatch(line -> line.startsWith("imds: "));
        assertThat(diagnosis.exitCode()).isEqualTo(exitCode);
    }

    /** There is no resolver in this namespace. */
    @ParameterizedTest
    @CsvSource({
        "us-west-2, eks-auth.us-west-2.api.aws, private DNS for api.aws is missing",
        "cn-north-1, eks-auth.cn-north-1.api.amazonwebservices.com.cn, private DNS for api.amazonwebservices.com.cn is missing",
        "us-iso-east-1, eks-auth.us-iso-east-1.api.aws.ic.gov, private DNS for api.aws.ic.gov is missing"
    })
    void namesTheZoneThatIsMissing(String region, String host, String problem) {
        Map<String, String> environment = new HashMap<>(AgentProcess.environment(place.emulator()));
        environment.put("AWS_REGION", region);

        Diagnosis diagnosis = Diagnosis.of(node.inside(executable()), environment, List.of(), "-c", "prod");

        assertThat(diagnosis.of("eks-auth-name")).singleElement().asString().startsWith("fail: The name " + host).contains(problem);
        assertThat(diagnosis.of("eks-auth")).singleElement().asString().startsWith("fail: ");
    }

    private AgentProcess serve() {
        AgentProcess agent = place.launchAgent();
        opened.add(agent);
        NodeAndPod.awaitReady(agent);
        return agent;
    }

    private Diagnosis diagnose() {
        return Diagnosis.of(node.inside(executable()), AgentProcess.environment(place.emulator()),
                List.of(place.emulator().secretAccessKey()));
    }

    /** Gives the node a neighbor that acts as IMDS. */
    private void imds(int hopLimit, boolean versionOne) throws IOException {
        NetworkNamespace instance = NetworkNamespace.create();
        opened.add(instance);
        instance.set("net/ipv4/ip_default_ttl", hopLimit);
        node.ip("link add imds0 type veth peer name eth0 netns " + instance.name());
        node.ip("address add 198.19.25.1/32 dev imds0");
        node.ip("link set imds0 up");
        node.ip("route add " + IMDS + " dev imds0");
        instance.ip("link set lo up");
        instance.ip("address add " + IMDS + "/32 dev eth0");
        instance.ip("link set eth0 up");
        instance.ip("route add 198.19.25.1 dev eth0");
        Process process = new ProcessBuilder(instance.inside(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp", Workload.classPath(),
                ImdsMain.class.getName(), IMDS, Boolean.toString(versionOne), place.emulator().region(),
                place.emulator().accessKeyId(), place.emulator().secretAccessKey()))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        opened.add(() -> {
            process.getOutputStream().close();
            process.waitFor();
        });
        BufferedReader lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        assertThat(lines.readLine()).isEqualTo("listening");
    }

    private static String executable() {
        return System.getProperty("agent.executable");
    }
}
