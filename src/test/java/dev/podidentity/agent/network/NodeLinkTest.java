package dev.podidentity.agent.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.podidentity.agent.network.Kernel.HeldAddress;
import dev.podidentity.agent.network.Kernel.Link;
import dev.podidentity.agent.network.Kernel.Route;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssertAlternative;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class NodeLinkTest {

    private static final String NAME = NodeLink.NAME;
    private static final List<String> ALL = List.of(
            "make pod-id-link0",
            "bring up pod-id-link0",
            "add 169.254.170.23/32 to pod-id-link0",
            "route 169.254.170.23 to pod-id-link0",
            "add fd00:ec2::23/128 to pod-id-link0",
            "route fd00:ec2::23 to pod-id-link0");

    private final FakeKernel kernel = new FakeKernel();
    private final List<Note> notes = new ArrayList<>();

    @Test
    void makesEverythingOnABareNode() throws Exception {
        // When
        setUp();

        // Then
        assertThat(kernel.changes).isEqualTo(ALL);
        assertThat(messages(false)).containsExactly("Link created", "Link brought up", "Address added", "Route added",
                "Address added", "Route added", "The agent's addresses are on this node");
        assertThat(messages(true)).isEmpty();
    }

    @Test
    void changesNothingTheSecondTime() throws Exception {
        // Given
        setUp();
        kernel.changes.clear();
        notes.clear();

        // When
        setUp();

        // Then
        assertThat(kernel.changes).isEmpty();
        assertThat(notes).singleElement().satisfies(note -> {
            assertThat(note.message()).isEqualTo("The agent's addresses are on this node");
            assertThat(note.fields())
                    .containsEntry("link", NAME)
                    .containsEntry("addresses", "169.254.170.23,fd00:ec2::23");
        });
    }

    @Test
    void needsNoPermissionWhenNothingIsMissing() throws Exception {
        // Given
        setUp();
        kernel.withoutPermission();

        // Then
        setUp();
    }

    /** Returns every combination of the four things that an existing link may lack, with the link up and down. */
    static Stream<Arguments> halfDone() {
        return IntStream.range(0, 32).mapToObj(bits -> Arguments.of(
                (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0));
    }

    @ParameterizedTest
    @MethodSource("halfDone")
    void addsJustWhatIsMissing(boolean up, boolean ipv4, boolean ipv4Route, boolean ipv6, boolean ipv6Route) throws Exception {
        // Given
        kernel.addLink(NAME, "dummy", up);
        List<String> missing = new ArrayList<>(ALL);
        missing.remove("make pod-id-link0");
        given(up, missing, "bring up pod-id-link0", () -> { });
        given(ipv4, missing, "add 169.254.170.23/32 to pod-id-link0", () -> kernel.addAddress(NodeAddress.IPV4, NAME));
        given(ipv4Route, missing, "route 169.254.170.23 to pod-id-link0", () -> kernel.addRoute(NodeAddress.IPV4, NAME));
        given(ipv6, missing, "add fd00:ec2::23/128 to pod-id-link0", () -> kernel.addAddress(NodeAddress.IPV6, NAME));
        given(ipv6Route, missing, "route fd00:ec2::23 to pod-id-link0", () -> kernel.addRoute(NodeAddress.IPV6, NAME));

        // When
        setUp();

        // Then
        assertThat(kernel.changes).isEqualTo(missing);
        assertThat(messages(true)).isEmpty();
    }

    private static void given(boolean there, List<String> missing, String change, Runnable make) {
        if (there) {
            make.run();
            missing.remove(change);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bridge", "veth", ""})
    void usesALinkOfAnotherTypeAndWarns(String kind) throws Exception {
        // Given
        kernel.addLink(NAME, kind, true);

        // When
        setUp();

        // Then
        assertThat(kernel.changes).isEqualTo(ALL.subList(2, ALL.size()));
        assertThat(messages(true)).singleElement().asString().contains("not a dummy");
    }

    @Test
    void putsTheAddressesOnLoWhereTheKernelHasNoDummies() throws Exception {
        // Given
        kernel.withoutDummies();

        // When
        setUp();

        // Then
        assertThat(kernel.changes).containsExactly("add 169.254.170.23/32 to lo", "add fd00:ec2::23/128 to lo");
        assertThat(messages(true)).singleElement().asString().contains("no dummy links");
        assertThat(notes).last().satisfies(note -> assertThat(note.fields()).containsEntry("link", "lo"));
    }

    @Test
    void bringsLoUp() throws Exception {
        // Given
        kernel.withoutDummies();
        kernel.links.set(0, new Link(FakeKernel.LO, "lo", "", false));

        // When
        setUp();

        // Then
        assertThat(kernel.changes).startsWith("bring up lo");
    }

    @Test
    void changesNothingOnLoTheSecondTime() throws Exception {
        // Given
        kernel.withoutDummies();
        setUp();
        kernel.changes.clear();

        // When
        setUp();

        // Then
        assertThat(kernel.changes).isEmpty();
    }

    @Test
    void addsTheLinkWhereAnEarlierRunHadToUseLo() throws Exception {
        // Given: both addresses, and the route that Linux creates for the IPv6 address
        kernel.addAddress(NodeAddress.IPV4, "lo");
        kernel.addAddress(NodeAddress.IPV6, "lo");
        kernel.addRoute(NodeAddress.IPV6, "lo");

        // When
        setUp();

        // Then
        assertThat(kernel.changes).isEqualTo(ALL);
        assertThat(kernel.addresses).contains(new HeldAddress(NodeAddress.IPV4, FakeKernel.LO, 32));
    }

    @ParameterizedTest
    @ValueSource(ints = {Errno.EACCES, Errno.EOPNOTSUPP, Errno.EAFNOSUPPORT})
    void doesWithoutIpv6WhereItIsSwitchedOff(int errno) throws Exception {
        // Given
        kernel.withoutIpv6(errno);

        // When
        setUp();

        // Then
        assertThat(kernel.changes).isEqualTo(ALL.subList(0, 4));
        assertThat(messages(true)).isEmpty();
        assertThat(messages(false)).contains("This node has no IPv6; the agent's IPv6 address is left out");
        assertThat(notes).last().satisfies(note -> assertThat(note.fields()).containsEntry("addresses", "169.254.170.23"));
    }

    @Test
    void doesWithoutIpv6OnLo() throws Exception {
        // Given
        kernel.withoutDummies().withoutIpv6(Errno.EACCES);

        // When
        setUp();

        // Then
        assertThat(kernel.changes).containsExactly("add 169.254.170.23/32 to lo");
    }

    @ParameterizedTest
    @ValueSource(strings = {"add fd00:ec2::23/128 to pod-id-link0", "route fd00:ec2::23 to pod-id-link0"})
    void warnsOfTroubleWithIpv6ThatIsNotForBeingSwitchedOff(String change) throws Exception {
        // Given
        kernel.refuse(change, 105);

        // When
        setUp();

        // Then
        assertThat(notes).filteredOn(Note::warning).singleElement().satisfies(note ->
                assertThat(note.fields().get("reason")).contains("ENOBUFS"));
        assertThat(kernel.changes).containsAll(ALL.subList(0, 4));
    }

    @ParameterizedTest
    @EnumSource(NodeAddress.class)
    void refusesAnAddressOfAnotherLinkAndChangesNothing(NodeAddress address) {
        // Given
        kernel.addresses.add(new HeldAddress(address, FakeKernel.ETH0, 16));

        // Then
        fails().withMessageContaining(address + "/16").withMessageContaining("eth0")
                .withMessageContaining("ip address delete " + address + "/16 dev eth0");
        assertThat(kernel.changes).isEmpty();
    }

    static Stream<Arguments> routesElsewhere() {
        return Stream.of(
                Arguments.of(new Route(NodeAddress.IPV4, "unicast", "", FakeKernel.ETH0),
                        "'ip route delete 169.254.170.23 dev eth0'"),
                Arguments.of(new Route(NodeAddress.IPV4, "unicast", "10.0.0.1", FakeKernel.ETH0),
                        "'ip route delete 169.254.170.23 via 10.0.0.1 dev eth0'"),
                Arguments.of(new Route(NodeAddress.IPV4, "unicast", "", 0), "'ip route delete 169.254.170.23'"),
                Arguments.of(new Route(NodeAddress.IPV4, "unicast", "", 99), "'ip route delete 169.254.170.23 dev if99'"),
                Arguments.of(new Route(NodeAddress.IPV4, "blackhole", "", 0), "'ip route delete blackhole 169.254.170.23'"),
                Arguments.of(new Route(NodeAddress.IPV6, "unreachable", "", FakeKernel.LO),
                        "'ip -6 route delete unreachable fd00:ec2::23 dev lo'"),
                Arguments.of(new Route(NodeAddress.IPV6, "unicast", "", FakeKernel.ETH0),
                        "'ip -6 route delete fd00:ec2::23 dev eth0'"));
    }

    @ParameterizedTest
    @MethodSource("routesElsewhere")
    void refusesARouteThatLeadsElsewhereAndChangesNothing(Route route, String remedy) {
        // Given
        kernel.routes.add(route);

        // Then
        fails().withMessageContaining(remedy).withMessageContaining("leads elsewhere");
        assertThat(kernel.changes).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("routesElsewhere")
    void refusesItBesideALinkThatIsThereToo(Route route, String remedy) {
        // Given
        kernel.addLink(NAME, "dummy", false);
        kernel.routes.add(route);

        // Then
        fails().withMessageContaining(remedy);
        assertThat(kernel.changes).isEmpty();
    }

    static Stream<Consumer<FakeKernel>> withoutPermission() {
        return Stream.of(
                bare -> { },
                FakeKernel::withoutDummies,
                there -> there.addLink(NAME, "dummy", false),
                up -> up.addLink(NAME, "dummy", true),
                withIpv4 -> {
                    withIpv4.addLink(NAME, "dummy", true);
                    withIpv4.addAddress(NodeAddress.IPV4, NAME);
                },
                withoutIpv6 -> {
                    withoutIpv6.addLink(NAME, "dummy", true);
                    withoutIpv6.addAddress(NodeAddress.IPV4, NAME);
                    withoutIpv6.addRoute(NodeAddress.IPV4, NAME);
                });
    }

    @ParameterizedTest
    @MethodSource("withoutPermission")
    void saysInOneLineThatItLacksPermission(Consumer<FakeKernel> state) {
        // Given
        state.accept(kernel);
        kernel.withoutPermission();

        // Then
        fails().withMessageContaining("NET_ADMIN").withMessageNotContaining("\n");
        assertThat(kernel.changes).isEmpty();
    }

    @Test
    void saysWhatElseTheKernelRefuses() {
        // Given
        kernel.refuse("add 169.254.170.23/32 to pod-id-link0", 105);

        // Then
        fails().withMessageContaining("169.254.170.23/32").withMessageContaining("ENOBUFS");
    }

    @Test
    void saysThatItCannotTalkToTheKernel() {
        // Given
        kernel.mute = true;

        // Then
        fails().withMessageContaining("no response in time");
    }

    @Test
    void takesALinkThatSomebodyElseMakesMeanwhile() throws Exception {
        // Given
        kernel.before("make pod-id-link0", () -> kernel.addLink(NAME, "dummy", false));

        // When
        setUp();

        // Then
        assertThat(kernel.changes).isEqualTo(ALL.subList(1, ALL.size()));
        assertThat(messages(false)).doesNotContain("Link created");
    }

    @Test
    void takesAddressesAndRoutesThatSomebodyElseAddsMeanwhile() throws Exception {
        // Given
        for (NodeAddress address : NodeAddress.values()) {
            kernel.before("add " + address.prefix() + " to pod-id-link0", () -> kernel.addAddress(address, NAME));
            kernel.before("route " + address + " to pod-id-link0", () -> kernel.addRoute(address, NAME));
        }

        // When
        setUp();

        // Then
        assertThat(kernel.changes).isEqualTo(ALL.subList(0, 2));
        assertThat(notes).last().satisfies(note -> assertThat(note.fields().get("addresses")).contains("fd00:ec2::23"));
    }

    @Test
    void refusesARouteElsewhereThatSomebodyElseAddsMeanwhile() {
        // Given
        kernel.before("route 169.254.170.23 to pod-id-link0", () -> kernel.addRoute(NodeAddress.IPV4, "eth0"));

        // Then
        fails().withMessageContaining("'ip route delete 169.254.170.23 dev eth0'");
    }

    @Test
    void failsWhenTheLinkIsRemovedMeanwhile() {
        // Given
        kernel.after("make pod-id-link0", () -> kernel.links.remove(kernel.named(NAME)));

        // Then
        fails().withMessageContaining("removed");
    }

    @Test
    void takesAnIpv6AddressOfAnyPrefixLengthForTheAddress() throws Exception {
        // Given
        Link link = kernel.addLink(NAME, "dummy", true);
        kernel.addresses.add(new HeldAddress(NodeAddress.IPV6, link.index(), 64));

        // When
        setUp();

        // Then
        assertThat(kernel.changes).doesNotContain("add fd00:ec2::23/128 to pod-id-link0")
                .contains("route fd00:ec2::23 to pod-id-link0");
    }

    @Test
    void needsTheNativeExecutable() {
        assertThatExceptionOfType(NodeLinkFailure.class).isThrownBy(() -> NodeLink.setUp(notes::add))
                .withMessageContaining("native executable");
    }

    private void setUp() throws NodeLinkFailure {
        new NodeLink(kernel, notes::add).setUp();
    }

    private ThrowableAssertAlternative<NodeLinkFailure> fails() {
        return assertThatExceptionOfType(NodeLinkFailure.class).isThrownBy(this::setUp);
    }

    private List<String> messages(boolean warnings) {
        return notes.stream().filter(note -> note.warning() == warnings).map(Note::message).toList();
    }
}
