package io.github.edgeocr.demo;

import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.github.edgeocr.OptionException;
import org.junit.Test;

public final class DemoSettingsTest {
    @Test
    public void whatIsRecommendedFitsTheMachine() {
        int threads = DemoSettings.recommended().threads;
        assertTrue(threads >= 1 && threads <= 4);
        assertTrue(threads <= Runtime.getRuntime().availableProcessors());
    }

    @Test
    public void valuesOutOfRangeAreRefused() {
        for (int threads : new int[] {-1, 0, DemoSettings.MOST_THREADS + 1}) {
            assertThrows(
                    OptionException.class, () -> new DemoSettings(threads, null, null, null));
        }
        for (float value : new float[] {-0.01f, 1.01f, Float.NaN}) {
            assertThrows(OptionException.class, () -> new DemoSettings(1, value, null, null));
            assertThrows(OptionException.class, () -> new DemoSettings(1, null, value, null));
            assertThrows(OptionException.class, () -> new DemoSettings(1, null, null, value));
        }
    }

    @Test
    public void everyValueOfTheBarsIsTaken() {
        for (int bar = 0; bar <= 100; bar++) {
            float value = bar / 100f;
            new DemoSettings(1, value, value, value);
        }
    }
}
