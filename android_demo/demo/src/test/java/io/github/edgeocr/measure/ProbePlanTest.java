package io.github.edgeocr.measure;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import org.junit.Test;

public final class ProbePlanTest {
    private static final String PLAN =
            "{\"bundles\": [{\"name\": \"v4\", \"path\": \"bundles/0\"}],"
                    + "\"images\": [{\"name\": \"a\", \"path\": \"images/a.png\", \"lines\": 3}],"
                    + "\"read_once\": [{\"name\": \"b\", \"path\": \"b.png\", \"lines\": null}],"
                    + "\"threads\": [1, 4], \"limit_sides\": [null, 640], \"line_widths\": [],"
                    + "\"rounds\": 5, \"warm_ups\": 2, \"cold_starts\": 0, \"processes\": [],"
                    + "\"throughput_s\": 10.0, \"sustained_s\": 1.5, \"cores\": null,"
                    + "\"rest_s\": 0, \"cool_down_c\": null, \"cool_down_s\": 300.0,"
                    + "\"schema\": 1}";

    @Test
    public void everyWishIsKept() {
        ProbePlan plan = ProbePlan.parse(PLAN);
        assertEquals("bundles/0", plan.bundles.get(0).path);
        assertEquals(Long.valueOf(3), plan.images.get(0).lines);
        assertNull(plan.readOnce.get(0).lines);
        assertEquals(Arrays.asList(1, 4), plan.threads);
        assertEquals(Arrays.asList(null, 640), plan.limitSides);
        assertEquals(5, plan.rounds);
        assertEquals(2, plan.warmUps);
        assertFalse(plan.coldStart);
        assertEquals(1.5, plan.sustainedSeconds, 0);
        assertEquals(0, plan.restSeconds, 0);
    }

    @Test
    public void whatTheAppCannotDoIsRefused() {
        assertRefused("\"line_widths\": []", "\"line_widths\": [320]", "line_widths");
        assertRefused("\"processes\": []", "\"processes\": [2]", "processes");
        assertRefused("\"cores\": null", "\"cores\": [0]", "cores");
        assertRefused("\"cool_down_c\": null", "\"cool_down_c\": 40.0", "cool_down_c");
    }

    @Test
    public void noPathLeadsOutOfTheFolder() {
        for (String path : new String[] {"/etc/passwd", "../x", "images/../../x", ""}) {
            assertRefused("images/a.png", path, "path");
        }
    }

    @Test
    public void whatIsNoPlanIsRefused() {
        assertRefused("\"schema\": 1", "\"schema\": 2", "schema");
        assertRefused("\"rounds\": 5,", "", "rounds");
        assertRefused("\"rounds\": 5", "\"rounds\": 0", "rounds");
        assertRefused("\"rounds\": 5", "\"rounds\": \"5\"", "rounds");
        assertRefused("\"rounds\": 5", "\"rounds\": 5, \"round\": 5", "round");
        assertRefused("\"threads\": [1, 4]", "\"threads\": []", "at least one");
        assertRefused("\"threads\": [1, 4]", "\"threads\": [1, null]", "threads");
        assertRefused("\"bundles\": [{", "\"bundles\": [1, {", "objects");
        assertRefused("}", "", "JSON");
    }

    private static void assertRefused(String found, String replaced, String said) {
        assertTrue("the plan holds " + found, PLAN.contains(found));
        MeasureException error =
                assertThrows(
                        MeasureException.class,
                        () -> ProbePlan.parse(PLAN.replace(found, replaced)));
        assertTrue(error.getMessage(), error.getMessage().contains(said));
    }
}
