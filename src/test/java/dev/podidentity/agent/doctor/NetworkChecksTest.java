package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.network.ImdsHops.Reach;
import dev.podidentity.agent.network.LinkState;
import dev.podidentity.agent.network.LinkState.Held;
import dev.podidentity.agent.network.LinkState.OwnLink;
import dev.podidentity.agent.network.LinkState.Towards;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class NetworkChecksTest {

    private static final String LINK = "pod-id-link0";
    private static final Held IPV4 = new Held(LinkState.IPV4, LINK, 32, true, true);
    private static final Held IPV6 = new Held(LinkState.IPV6, LINK, 128, true, true);
    private static final Towards ROUTE = new Towards(
            LinkState.IPV4, "169.254.170.23 dev pod-id-link0", "ip route delete 169.254.170.23 dev pod-id-link0", true);

    @Test
    void isContentWithWhatInitializeMakes() {
        NodeNetwork network = network(Optional.of(new OwnLink(LINK, "dummy", true)), List.of(IPV4, IPV6),
                List.of(ROUTE, new Towards(LinkState.IPV6, "fd00:ec2::23 dev pod-id-link0", "", true)));

        assertThat(new LinkCheck(network).examine()).containsExactly(Finding.ok("The link pod-id-link0 is up"));
        assertThat(new AddressCheck(network, true).examine()).containsExactly(
                Finding.ok("169.254.170.23/32 is on pod-id-link0"), Finding.ok("fd00:ec2::23/128 is on pod-id-link0"));
        assertThat(new RouteCheck(network).examine()).containsExactly(
                Finding.ok("The route '169.254.170.23 dev pod-id-link0' leads to the agent"),
                Finding.ok("The route 'fd00:ec2::23 dev pod-id-link0' leads to the agent"));
    }

    @Test
    void isContentWithAddressesOnTheLoopbackLink() {
        NodeNetwork network = network(Optional.empty(), List.of(new Held(LinkState.IPV4, "lo", 32, true, true)), List.of());

        assertThat(new LinkCheck(network).examine()).singleElement().extracting(Finding::status).isEqualTo(Status.OK);
        assertThat(new AddressCheck(network, false).examine()).containsExactly(Finding.ok("169.254.170.23/32 is on lo"));
        assertThat(new RouteCheck(network).examine()).containsExactly(Finding.ok("No route leads elsewhere"));
    }

    @Test
    void failsOnABareNode() {
        NodeNetwork network = network(Optional.empty(), List.of(), List.of());

        assertThat(new LinkCheck(network).examine()).containsExactly(
                Finding.fail("There is no link pod-id-link0", LinkCheck.INITIALIZE));
        assertThat(new AddressCheck(network, true).examine()).containsExactly(
                Finding.fail("169.254.170.23 is not an address of this node", LinkCheck.INITIALIZE),
                Finding.warn("fd00:ec2::23 is not an address of this node, which has IPv6",
                        LinkCheck.INITIALIZE + "; not needed in an IPv4 cluster"));
    }

    @Test
    void failsOnALinkThatIsDownAndWarnsOfOneThatIsNoDummy() {
        assertThat(new LinkCheck(network(Optional.of(new OwnLink(LINK, "dummy", false)), List.of(), List.of())).examine())
                .containsExactly(Finding.fail("The link pod-id-link0 is down", LinkCheck.INITIALIZE));
        assertThat(new LinkCheck(network(Optional.of(new OwnLink(LINK, "veth", true)), List.of(), List.of())).examine())
                .singleElement().satisfies(finding -> {
                    assertThat(finding.status()).isEqualTo(Status.WARN);
                    assertThat(finding.seen()).contains("not a dummy link (type veth)");
                });
    }

    @Test
    void failsOnSomebodyElsesAddressAndRouteAndSaysHowToRemoveThem() {
        NodeNetwork network = network(Optional.of(new OwnLink(LINK, "dummy", true)),
                List.of(new Held(LinkState.IPV4, "eth0", 32, true, false)),
                List.of(new Towards(LinkState.IPV4, "169.254.170.23 via 10.0.0.1 dev eth0",
                        "ip route delete 169.254.170.23 via 10.0.0.1 dev eth0", false)));

        assertThat(new AddressCheck(network, false).examine()).containsExactly(Finding.fail(
                "169.254.170.23/32 is an address of eth0; pods reach another process there",
                "If nothing else needs it, remove it: ip address delete 169.254.170.23/32 dev eth0"));
        assertThat(new RouteCheck(network).examine()).containsExactly(Finding.fail(
                "The route '169.254.170.23 via 10.0.0.1 dev eth0' leads elsewhere",
                "If nothing else needs it, remove it: ip route delete 169.254.170.23 via 10.0.0.1 dev eth0"));
    }

    @Test
    void warnsOfAPrefixThatTakesMoreAndOfAMissingRoute() {
        NodeNetwork network = network(Optional.of(new OwnLink(LINK, "dummy", true)),
                List.of(new Held(LinkState.IPV4, LINK, 16, false, true)), List.of());

        assertThat(new AddressCheck(network, false).examine()).singleElement().extracting(Finding::status).isEqualTo(Status.WARN);
        assertThat(new RouteCheck(network).examine()).containsExactly(
                Finding.warn("There is no route to 169.254.170.23 in the main table", LinkCheck.INITIALIZE));
    }

    @Test
    void skipsWhatTheKernelWasNotAskedFor() {
        NodeNetwork network = new NodeNetwork(Optional.empty(), "Not asked", Reach.UNKNOWN);

        for (Check check : List.of(new LinkCheck(network), new AddressCheck(network, true), new RouteCheck(network))) {
            assertThat(check.examine()).containsExactly(Finding.skip("Not asked"));
        }
    }

    private static NodeNetwork network(Optional<OwnLink> link, List<Held> addresses, List<Towards> routes) {
        return new NodeNetwork(Optional.of(new LinkState(link, addresses, routes)), "", Reach.UNKNOWN);
    }
}
