package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code initialize} on the kernel of this machine, in network namespaces that represent nodes. */
class InitializeIT {

    private static final String LINK = "pod-id-link0";
    private static final String DONE = "The agent's addresses are on this node";

    private NetworkNamespace node;

    @TempDir
    private Path directory;

    @BeforeEach
    void start() {
        node = NetworkNamespace.create();
    }

    @AfterEach
    void stop() {
        // Null when the test was skipped.
        if (node != null) {
            node.close();
        }
    }

    @Test
    void makesTheLinkOnABareNodeAndLeavesItAloneTheSecondTime() {
        // Given
        assumeTrue(kernelHasDummies(), "this kernel has no dummy links");

        // When
        List<String> first = initialize();
        List<String> second = initialize();

        // Then
        assertComplete();
        assertThat(node.ip("-details link show " + LINK)).contains("dummy");
        assertThat(first).anyMatch(line -> line.contains("Link created"));
        assertThat(second).singleElement().asString().contains(DONE);
    }

    @Test
    void putsTheAddressesOnLoWhereTheKernelHasNoDummiesAndSaysSo() {
        // Given
        assumeFalse(kernelHasDummies(), "this kernel has dummy links");

        // When
        List<String> first = initialize();
        List<String> second = initialize();

        // Then
        assertThat(node.ip("-oneline address show dev lo")).contains("inet 169.254.170.23/32", "inet6 fd00:ec2::23/128");
        assertThat(node.ip("-oneline link show dev lo")).contains(",UP");
        assertThat(first).first().asString().contains("\"level\":\"warning\"", "no dummy links", "\"link\":\"lo\"");
        assertThat(first).filteredOn(line -> line.contains("Address added")).hasSize(2);
        assertThat(second).hasSize(2).last().asString().contains(DONE);
        assertThat(node.can("link show " + LINK)).isFalse();
    }

    /** Returns what was undone, or what an interrupted run did not do. */
    static Stream<List<String>> halfDone() {
        return Stream.of(
                List.of("link set " + LINK + " down"),
                List.of("address delete 169.254.170.23/32 dev " + LINK),
                List.of("address delete fd00:ec2::23/128 dev " + LINK),
                List.of("route delete 169.254.170.23 dev " + LINK),
                List.of("-6 route delete fd00:ec2::23 dev " + LINK),
                List.of("route delete 169.254.170.23 dev " + LINK, "-6 route delete fd00:ec2::23 dev " + LINK),
                // Only IPv6 is left, then only IPv4, then only the link.
                List.of("-4 address flush dev " + LINK, "-4 route flush dev " + LINK),
                List.of("-6 address flush dev " + LINK, "-6 route flush dev " + LINK),
                List.of("link set " + LINK + " down", "address flush dev " + LINK));
    }

    @ParameterizedTest
    @MethodSource("halfDone")
    void addsJustWhatIsMissing(List<String> undoing) {
        // Given
        makeLink();
        initialize();
        undoing.forEach(node::ip);

        // When
        List<String> repaired = initialize();
        List<String> again = initialize();

        // Then
        assertComplete();
        assertThat(repaired).anyMatch(line -> line.contains("added") || line.contains("brought up"));
        assertThat(again).noneMatch(line -> line.contains("added") || line.contains("brought up"));
    }

    @Test
    void completesALinkThatIsThereAndIsDown() {
        // Given
        makeLink();

        // When
        initialize();

        // Then
        assertComplete();
    }

    @Test
    void completesWhatOthersHaveMadeTheirWay() {
        // Given
        makeLink();
        node.ip("link set " + LINK + " up");
        node.ip("address add 169.254.170.23/32 dev " + LINK);
        node.ip("address add fd00:ec2::23/128 dev " + LINK);

        // When
        List<String> lines = initialize();

        // Then: the kernel has added the IPv6 route for the address
        assertComplete();
        assertThat(lines).filteredOn(line -> line.contains("added")).singleElement().asString().contains("Route added");
    }

    @Test
    void usesALinkOfThatNameThatIsNoDummyAndWarns() {
        // Given
        node.ip("link add " + LINK + " type veth peer name other");

        // When
        List<String> lines = initialize();

        // Then
        assertThat(lines).first().asString().contains("\"level\":\"warning\"", "not a dummy", "\"type\":\"veth\"");
        assertThat(node.ip("route show 169.254.170.23")).contains("dev " + LINK);
    }

    @Test
    void doesWithoutIpv6WhereItIsSwitchedOff() {
        // Given
        node.set("net/ipv6/conf/all/disable_ipv6", 1);
        node.set("net/ipv6/conf/default/disable_ipv6", 1);
        makeLink();

        // When
        List<String> lines = initialize();

        // Then
        assertThat(node.ip("-oneline -4 address show dev " + LINK)).contains("169.254.170.23/32");
        assertThat(node.ip("route show 169.254.170.23")).contains("dev " + LINK);
        assertThat(node.ip("-6 address show")).isEmpty();
        assertThat(lines).anyMatch(line -> line.contains("no IPv6") && line.contains("IPv6 is disabled"));
        assertThat(lines).last().asString().contains(DONE, "\"addresses\":\"169.254.170.23\"");
    }

    @Test
    void doesWithoutIpv6OnLo() {
        // Given
        assumeFalse(kernelHasDummies(), "this kernel has dummy links");
        node.set("net/ipv6/conf/all/disable_ipv6", 1);

        // When
        List<String> lines = initialize();

        // Then
        assertThat(node.ip("-oneline address show dev lo")).contains("169.254.170.23/32").doesNotContain("fd00:ec2::23");
        assertThat(lines).last().asString().contains(DONE, "\"addresses\":\"169.254.170.23\"");
    }

    static Stream<Arguments> inTheWay() {
        return Stream.of(
                Arguments.of("route add 169.254.170.23 dev other0", "ip route delete 169.254.170.23 dev other0"),
                Arguments.of("route add 169.254.170.23 via 192.0.2.9",
                        "ip route delete 169.254.170.23 via 192.0.2.9 dev other0"),
                Arguments.of("route add blackhole 169.254.170.23", "ip route delete blackhole 169.254.170.23"),
                Arguments.of("-6 route add fd00:ec2::23 dev other0", "ip -6 route delete fd00:ec2::23 dev other0"),
                Arguments.of("address add 169.254.170.23/32 dev other0", "ip address delete 169.254.170.23/32 dev other0"),
                Arguments.of("address add fd00:ec2::23/64 dev other0", "ip address delete fd00:ec2::23/64 dev other0"));
    }

    @ParameterizedTest
    @MethodSource("inTheWay")
    void refusesWhatLeadsElsewhereAndChangesNothing(String conflict, String remedy) {
        // Given
        node.ip("link add other0 type bridge");
        node.ip("link set other0 up");
        node.ip("address add 192.0.2.1/24 dev other0");
        node.ip(conflict);
        String before = state();

        // When
        AgentProcess agent = AgentProcess.run(node.inside(executable()), Map.of(), "initialize");

        // Then
        assertThat(agent.awaitExit()).isOne();
        assertThat(agent.output()).singleElement().asString().startsWith("Error: ").contains(remedy);
        assertThat(state()).isEqualTo(before);

        // When: the remedy in the message is applied
        List<String> command = new ArrayList<>(List.of(remedy.split(" ")));
        command.remove(0);
        node.ip(String.join(" ", command));

        // Then
        initialize();
    }

    @ParameterizedTest
    @ValueSource(strings = {"--reuid 65532 --regid 65532 --clear-groups", "--bounding-set -net_admin"})
    void saysInOneLineThatItLacksPermission(String restricted) throws IOException {
        // Given: a copy that every user can execute
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path copy = Files.copy(Path.of(executable()), directory.resolve("agent"));
        List<String> command = new ArrayList<>(node.inside("setpriv"));
        command.addAll(List.of(restricted.split(" ")));
        command.add(copy.toString());
        String before = state();

        // When
        AgentProcess agent = AgentProcess.run(command, Map.of(), "initialize", "-v", "error");

        // Then
        assertThat(agent.awaitExit()).isOne();
        assertThat(agent.output()).singleElement().asString().startsWith("Error: ").contains("NET_ADMIN");
        assertThat(state()).isEqualTo(before);
    }

    /** In the second case as in a container that may not gain privileges: the process has the capability before it executes. */
    @ParameterizedTest
    @ValueSource(strings = {
        "--reuid 65532 --regid 65532 --clear-groups",
        "--reuid 65532 --regid 65532 --clear-groups --bounding-set -all,+net_admin --inh-caps -all,+net_admin"
                + " --ambient-caps -all,+net_admin --no-new-privs"
    })
    void setsUpTheNodeAsNobodyWithThePermittedCapabilityOfTheFile(String restricted) throws IOException {
        // Given
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path copy = Files.copy(Path.of(executable()), directory.resolve("agent"));
        NetworkNamespace.Result permitted = NetworkNamespace.execute(
                List.of("setcap", "cap_net_bind_service,cap_net_admin=p", copy.toString()));
        assumeTrue(permitted.code() == 0, () -> "cannot give files capabilities here: " + permitted.output());
        List<String> command = new ArrayList<>(node.inside("setpriv"));
        command.addAll(List.of(restricted.split(" ")));
        command.add(copy.toString());

        // When
        AgentProcess agent = AgentProcess.run(command, Map.of(), "initialize", "-v", "trace");

        // Then
        assertThat(agent.awaitExit()).as(() -> String.join("\n", agent.output())).isZero();
        assertThat(agent.output()).last().asString().contains(DONE);
        assertThat(node.ip("-oneline address show")).contains("inet 169.254.170.23/32", "inet6 fd00:ec2::23/128");
    }

    @Test
    void isAsQuietAsItIsTold() {
        makeLink();

        assertThat(initialize("-v", "error")).isEmpty();
    }

    private List<String> initialize(String... flags) {
        String[] arguments = Stream.concat(Stream.of("initialize"), Stream.of(flags)).toArray(String[]::new);
        AgentProcess agent = AgentProcess.run(node.inside(executable()), Map.of(), arguments);
        assertThat(agent.awaitExit()).as(() -> String.join("\n", agent.output())).isZero();
        assertThat(agent.output()).allMatch(line -> line.startsWith("{\"time\":\""));
        return agent.output();
    }

    private static String executable() {
        return System.getProperty("agent.executable");
    }

    /** Creates the link as others may have: a dummy link, or a link with equal abilities if there are no dummy links. */
    private void makeLink() {
        node.ip("link add " + LINK + " type " + (kernelHasDummies() ? "dummy" : "bridge"));
    }

    private boolean kernelHasDummies() {
        boolean dummies = node.can("link add probe0 type dummy");
        if (dummies) {
            node.ip("link delete probe0");
        }
        return dummies;
    }

    private void assertComplete() {
        assertThat(node.ip("-oneline link show dev " + LINK)).contains(",UP");
        assertThat(node.ip("-oneline -4 address show dev " + LINK)).containsOnlyOnce("inet 169.254.170.23/32");
        assertThat(node.ip("-oneline -6 address show dev " + LINK)).containsOnlyOnce("inet6 fd00:ec2::23/128")
                .doesNotContain("tentative");
        assertThat(node.ip("route show 169.254.170.23 table main").lines()).singleElement().asString()
                .startsWith("169.254.170.23 dev " + LINK);
        assertThat(node.ip("-6 route show fd00:ec2::23 table main").lines()).singleElement().asString()
                .startsWith("fd00:ec2::23 dev " + LINK);
    }

    /** Returns links, addresses and routes, except those that the kernel creates some time after a link is up. */
    private String state() {
        return (node.ip("-oneline link show") + node.ip("-oneline address show") + node.ip("route show table all")
                        + node.ip("-6 route show table all"))
                .lines()
                .filter(line -> !line.contains("fe80") && !line.contains("ff00"))
                .map(line -> line.replaceAll("NO-CARRIER,|,LOWER_UP|state \\w+", ""))
                .reduce("", (all, line) -> all + line + "\n");
    }
}
