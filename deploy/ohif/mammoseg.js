// What OHIF 3.13 needs to hang two breasts with mammoseg's results on. See README.md.

const MANUFACTURER = 'mammoseg project';
const VIEWS = ['RCC', 'LCC', 'RMLO', 'LMLO'];

// CID 4014, SNOMED CT and what it replaced (PS3.16).
const CODED_VIEWS = { 399162004: 'CC', 'R-10242': 'CC', 399368009: 'MLO', 'R-10226': 'MLO' };

const first = value => (Array.isArray(value) ? value[0] : value);

// Which of the four an image shows, such as "LCC"; undefined for any other.
function viewOf(instance) {
  if (!instance || instance.Modality !== 'MG') return undefined;
  const anatomy = first(first(instance.SharedFunctionalGroupsSequence)?.FrameAnatomySequence);
  const side = instance.ImageLaterality || instance.Laterality || anatomy?.FrameLaterality;
  const coded = CODED_VIEWS[first(instance.ViewCodeSequence)?.CodeValue];
  const view = `${side}${coded || instance.ViewPosition}`;
  return VIEWS.includes(view) ? view : undefined;
}

// The image that one of our results was made from.
function sourceOf(displaySet, displaySetService) {
  const { instance, Modality } = displaySet;
  if (instance?.Manufacturer !== MANUFACTURER) return undefined;
  if (Modality === 'SEG' && instance.SegmentationType === 'BINARY') {
    return displaySetService.getDisplaySetByUID(displaySet.referencedDisplaySetInstanceUID);
  }
  if (Modality === 'SR' && displaySet.isImagingMeasurementReport) {
    const evidence = first(instance.CurrentRequestedProcedureEvidenceSequence);
    const series = first(evidence?.ReferencedSeriesSequence)?.SeriesInstanceUID;
    return displaySetService.getDisplaySetsForSeries(series)?.[0];
  }
  return undefined;
}

// What a display set is to the hanging protocol: "image LCC", "SEG LCC", "SR LCC".
function roleOf(displaySet, displaySetService) {
  if (displaySet.madeInClient || displaySet.unsupported) return undefined;
  if (displaySet.isDerivedDisplaySet) {
    const view = viewOf(sourceOf(displaySet, displaySetService)?.images?.[0]);
    return view && `${displaySet.Modality} ${view}`;
  }
  const view = viewOf(displaySet.images?.[0]);
  return view && `image ${view}`;
}

// Matches the first of some roles that the study has.
const select = (...roles) => ({
  seriesMatchingRules: roles.map((role, index) => ({
    attribute: 'mammosegRole',
    constraint: { equals: { value: role } },
    weight: 10 - index,
  })),
});

const stage = (name, roles) => ({
  id: name,
  name,
  viewportStructure: { layoutType: 'grid', properties: { rows: 2, columns: 2 } },
  viewports: VIEWS.map(view => ({
    viewportOptions: { toolGroupId: 'default', viewportType: 'stack', allowUnmatchedView: true },
    displaySets: roles.map(role => ({ id: `${role} ${view}` })),
  })),
});

const FOUR_VIEWS = {
  id: 'mammoseg',
  name: 'Mammography, with mammoseg results',
  protocolMatchingRules: [
    { attribute: 'mammosegViews', constraint: { greaterThan: 1 }, weight: 1000, required: true },
  ],
  toolGroupIds: ['default'],
  displaySetSelectors: Object.fromEntries(
    VIEWS.flatMap(view => [
      [`image ${view}`, select(`image ${view}`)],
      [`SEG ${view}`, select(`SEG ${view}`)],
      // An image without a report is shown by itself.
      [`SR ${view}`, select(`SR ${view}`, `image ${view}`)],
    ])
  ),
  stages: [stage('masks', ['image', 'SEG']), stage('outlines', ['SR']), stage('images', ['image'])],
  numberOfPriorsReferenced: -1,
};

// A mammogram has no Image Orientation (Patient), and its segmentation must not invent one
// (PS3.3 A.51.5): frames fit the source pixel by pixel. OHIF stops where there is none; it draws the
// source in a plane that it assumes. This lends the segmentation that very plane, in memory.
function lendPlane(displaySet, displaySetService) {
  const { instance, referencedDisplaySetInstanceUID } = displaySet;
  const image = displaySetService.getDisplaySetByUID(referencedDisplaySetInstanceUID)?.images?.[0];
  const groups = [instance.SharedFunctionalGroupsSequence, instance.PerFrameFunctionalGroupsSequence];
  if (!image || image.ImageOrientationPatient) return;
  if (groups.some(group => first(group)?.PlaneOrientationSequence)) return;
  if (image.Rows !== instance.Rows || image.Columns !== instance.Columns) return;
  const plane = window.cornerstone.metaData.get('imagePlaneModule', image.imageId);
  const orientation = [...plane.rowCosines, ...plane.columnCosines];
  const shared = first(instance.SharedFunctionalGroupsSequence) ?? {};
  shared.PlaneOrientationSequence = { ImageOrientationPatient: orientation };
  instance.SharedFunctionalGroupsSequence = [shared];
}

// OHIF labels an outline with a finding site's bare code, and does not say which finding it is.
function nameFinding(measurement) {
  if (measurement.labels[0]?.label === 'mammoseg') return;
  const site = '363698007';
  measurement.labels = [
    { label: 'mammoseg', value: measurement.TrackingIdentifier },
    ...measurement.labels.map(({ label, value }) => ({ label: label === site ? 'Site' : label, value })),
  ];
}

const OPPOSITE = { A: 'P', P: 'A', L: 'R', R: 'L', H: 'F', F: 'H' };

// Whether a direction of Patient Orientation points to a wanted side (1), away from it (-1), or neither.
function towards(direction, wanted) {
  if (direction.includes(wanted)) return 1;
  return direction.includes(OPPOSITE[wanted]) ? -1 : 0;
}

// How to turn an image so that the breast hangs as it is read: chest walls in the middle, CC with the
// lateral side above, MLO with the head above. Mirrored first, then turned clockwise by degrees.
// undefined where Patient Orientation (PS3.3 C.7.6.1.1.1) does not tell: the image stays as stored.
function uprightTurn(instance) {
  const view = viewOf(instance);
  const directions = instance.PatientOrientation;
  if (!view || !Array.isArray(directions) || directions.length !== 2) return undefined;
  const across = view[0] === 'L' ? 'A' : 'P';
  const down = view.endsWith('MLO') ? 'F' : OPPOSITE[view[0]];
  const [row, column] = directions;
  const straight = `${towards(row, across)} ${towards(column, down)}`;
  const crossed = `${towards(row, down)} ${towards(column, across)}`;
  return {
    'straight 1 1': { flipHorizontal: false, rotation: 0 },
    'straight -1 1': { flipHorizontal: true, rotation: 0 },
    'straight 1 -1': { flipHorizontal: true, rotation: 180 },
    'straight -1 -1': { flipHorizontal: false, rotation: 180 },
    'crossed 1 -1': { flipHorizontal: false, rotation: 90 },
    'crossed -1 1': { flipHorizontal: false, rotation: 270 },
    'crossed -1 -1': { flipHorizontal: true, rotation: 90 },
    'crossed 1 1': { flipHorizontal: true, rotation: 270 },
  }[straight.includes('0') ? `crossed ${crossed}` : `straight ${straight}`];
}

// Turns an image upright, as large as it fits, its chest wall at the middle of the screen.
function hang(viewport, image) {
  const { imageToWorldCoords } = window.cornerstone.utilities;
  const box = () => {
    const corners = [0, image.Columns].flatMap(x => [0, image.Rows].map(y => [x, y]));
    const seen = corners.map(at => viewport.worldToCanvas(imageToWorldCoords(image.imageId, at)));
    const [xs, ys] = [seen.map(at => at[0]), seen.map(at => at[1])];
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  };
  viewport.setViewPresentation(uprightTurn(image) ?? {});
  const { clientWidth: width, clientHeight: height } = viewport.element;
  const [left, top, right, bottom] = box();
  viewport.setZoom(viewport.getZoom() * Math.min(width / (right - left), height / (bottom - top)));
  const [nearLeft, above, nearRight, below] = box();
  const [x, y] = viewport.getPan();
  const side = viewOf(image)?.[0];
  const across = side === 'R' ? width - nearRight : -nearLeft;
  viewport.setPan([x + across, y + (height - above - below) / 2]);
  viewport.render();
}

export default {
  id: 'mammoseg',
  preRegistration({ servicesManager }) {
    const { displaySetService, hangingProtocolService } = servicesManager.services;
    hangingProtocolService.addCustomAttribute('mammosegRole', 'Role in a mammography study', set =>
      roleOf(set, displaySetService)
    );
    hangingProtocolService.addCustomAttribute('mammosegViews', 'Number of mammographic views', () => {
      const images = displaySetService.getActiveDisplaySets().filter(set => !set.isDerivedDisplaySet);
      return new Set(images.map(set => roleOf(set, displaySetService)).filter(Boolean)).size;
    });
  },
  onModeEnter({ servicesManager }) {
    const services = servicesManager.services;
    const { cornerstoneViewportService, displaySetService, hangingProtocolService } = services;
    cornerstoneViewportService.subscribe(
      cornerstoneViewportService.EVENTS.VIEWPORT_DATA_CHANGED,
      ({ viewportId, viewportData }) => {
        const [shown, ...more] = viewportData.data.map(({ displaySetInstanceUID }) =>
          displaySetService.getDisplaySetByUID(displaySetInstanceUID)
        );
        const image = shown?.images?.[0];
        if (hangingProtocolService.protocol?.id !== FOUR_VIEWS.id || !viewOf(image)) return;
        // OHIF remembers a mask that once lay on an image, and lays it on again at every stage.
        if (!more.some(set => set?.Modality === 'SEG')) {
          services.segmentationService.clearSegmentationRepresentations(viewportId);
        }
        hang(cornerstoneViewportService.getCornerstoneViewport(viewportId), image);
      }
    );
    displaySetService.subscribe(displaySetService.EVENTS.DISPLAY_SETS_ADDED, ({ displaySetsAdded }) =>
      displaySetsAdded.forEach(set => {
        const { load } = set;
        if (set.Modality !== 'SEG' || !load) return;
        set.load = options => {
          lendPlane(set, displaySetService);
          return load(options);
        };
      })
    );
  },
  getCustomizationModule: ({ servicesManager }) => [
    {
      name: 'default',
      value: {
        onBeforeSRAddMeasurement: ({ measurement, SeriesInstanceUID }) => {
          const { displaySetService } = servicesManager.services;
          const [report] = displaySetService.getDisplaySetsForSeries(SeriesInstanceUID) ?? [];
          if (report?.instance?.Manufacturer === MANUFACTURER) nameFinding(measurement);
          return measurement;
        },
      },
    },
  ],
  getHangingProtocolModule: () => [{ name: FOUR_VIEWS.id, protocol: FOUR_VIEWS }],
};
