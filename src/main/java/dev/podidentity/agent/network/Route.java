package dev.podidentity.agent.network;

/**
 * A route of the main table to exactly one of the two addresses.
 *
 * @param to where it leads
 * @param type as {@code ip route} names it; only {@code unicast} leads anywhere by a link
 * @param gateway the next hop; empty if there is none
 * @param linkIndex of the link that it takes; 0 if it takes none, or several
 */
record Route(NodeAddress to, String type, String gateway, int linkIndex) {

    static final String UNICAST = "unicast";

    boolean takes(Link link) {
        return type.equals(UNICAST) && linkIndex == link.index();
    }
}
