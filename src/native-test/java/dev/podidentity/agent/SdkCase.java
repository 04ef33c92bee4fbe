package dev.podidentity.agent;

/** A case of {@link SdkMatrix}: a row of its table. */
enum SdkCase {
    COLD("cold: nothing is cached"),
    HIT("hit: the agent has the credentials"),
    IPV6("cold, over IPv6"),
    THROTTLED_1_S("EKS Auth throttles for 1 s"),
    THROTTLED_3_S("EKS Auth throttles for 3 s"),
    SLOW_1200_MS("EKS Auth takes 1.2 s for each call"),
    SLOW_2500_MS("EKS Auth takes 2.5 s for each call"),
    AWAY_5_S("EKS Auth refuses connections for 5 s"),
    ASSOCIATION_FIRST_CALL("an association appears after 3 s: the first call"),
    ASSOCIATION_SERVED("an association appears after 3 s: served after its appearance, asking again and again"),
    ROTATED("a living provider, credentials about to expire, the token replaced: the new token is sent"),
    EXPIRING("credentials about to expire, the living provider asked every 100 ms for 5 s"),
    FIFTY_COLD("50 at once, nothing cached"),
    FIFTY_HIT("50 at once, the agent has the credentials"),
    RESTARTED("the agent is stopped and started again, an application asks all the time"),
    REPLACED("a new agent replaces the old one, an application asks all the time");

    private final String title;

    SdkCase(String title) {
        this.title = title;
    }

    String title() {
        return title;
    }
}
